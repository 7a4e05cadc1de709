/** Plans to start from: the questions of the discussion that Tideline comes from, and the demo that runs on this machine. */
import adamOffload from "../../assets/plans/1xh100-adam-offload.json" with { type: "json" };
import colocated from "../../assets/plans/4xh100-colocated.json" with { type: "json" };
import separate from "../../assets/plans/8xh100-separate.json" with { type: "json" };
import demo from "../../assets/plans/demo.json" with { type: "json" };
import halfBillion from "../../assets/plans/rtx4090-half-billion.json" with { type: "json" };
import { TidelineError } from "../errors.ts";
import type { Plan } from "./plan.ts";
import { planFrom } from "./plan-file.ts";

export interface Preset {
  /** For the command line. */
  readonly name: string;
  /** The question that it answers. */
  readonly about: string;
  readonly plan: Plan;
  /** The preset that it is meant to be compared with. */
  readonly beside?: string;
}

function preset(name: string, about: string, data: unknown, beside?: string): Preset {
  return { name, about, plan: planFrom(data, `preset ${name}`), ...(beside !== undefined && { beside }) };
}

/** In the order in which they are offered. */
export const PRESETS: readonly [Preset, ...Preset[]] = [
  preset("1xh100-adam-offload", "PPO of a 7B with Adam, on one card", adamOffload),
  preset("8xh100-separate", "Trainers on four cards, engines on four others", separate, "4xh100-colocated"),
  preset("4xh100-colocated", "Trainers and engines share four cards", colocated, "8xh100-separate"),
  preset("rtx4090-half-billion", "A small model on a card for games", halfBillion),
  preset("demo", "Runs here: measured beside predicted", demo),
];

/** @throws TidelineError `bad_argument` that lists the presets. */
export function presetNamed(name: string): Preset {
  const found = PRESETS.find((one) => one.name === name.trim().toLowerCase());
  if (found !== undefined) return found;
  throw new TidelineError({
    code: "bad_argument",
    field: "preset",
    message: `there is no preset "${name}"`,
    hint: `allowed: ${PRESETS.map((one) => one.name).join(", ")}`,
  });
}
