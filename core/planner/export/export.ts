/** A plan written down for the launchers that people really use, with what each of them cannot say. */
import type { Plan } from "../plan.ts";
import { type Draft, unknownModels, type Writer } from "./draft.ts";
import type { PredictedFigures } from "./figures.ts";
import { writeOpenrlhf } from "./launchers/openrlhf.ts";
import { writeSglang } from "./launchers/sglang.ts";
import { writeSlime } from "./launchers/slime.ts";
import { writeTrl } from "./launchers/trl.ts";
import { writeVerl } from "./launchers/verl.ts";
import { writeVllm } from "./launchers/vllm.ts";
import type { Launcher, Target } from "./target.ts";

const WRITERS: Readonly<Record<Launcher, Writer>> = {
  sglang: writeSglang,
  vllm: writeVllm,
  openrlhf: writeOpenrlhf,
  verl: writeVerl,
  trl: writeTrl,
  slime: writeSlime,
};

export interface LauncherExport extends Draft {
  readonly target: Target;
}

/** The flags of a plan. They are those that decide about memory: data sets, learning rates and paths are the reader's. */
export function exportPlan(plan: Plan, figures: PredictedFigures, target: Target): LauncherExport {
  const draft = WRITERS[target.launcher](plan, figures, target.version);
  const paths = unknownModels(plan)
    .filter((name) => isLoaded(name, draft))
    .map((name) => `Put the path or the Hugging Face repository of ${name} where its name stands.`);
  return { target, ...draft, notes: [...paths, ...draft.notes] };
}

/** A launcher does not load every model of the plan: the reference is often the policy's first checkpoint. */
function isLoaded(name: string, { commands }: Draft): boolean {
  return commands.some((command) => command.arguments.some((given) => given.value === name || given.name === name));
}
