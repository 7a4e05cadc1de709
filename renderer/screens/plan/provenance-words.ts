/** Where a number comes from, in a word; what is not established stands out. */
import type { Provenance } from "../../../core/planner/provenance.ts";
import type { Tone } from "../../components/chip.tsx";

export const PROVENANCE_WORDS: Readonly<
  Record<Provenance, { readonly label: string; readonly tone: Tone; readonly about: string }>
> = {
  identity: { label: "identity", tone: "neutral", about: "follows from shapes and definitions" },
  measured: { label: "measured", tone: "ok", about: "read off a device" },
  calibrated: { label: "calibrated", tone: "ok", about: "a rule fitted to measurements" },
  inferred: { label: "inferred", tone: "warning", about: "agrees with what was seen, without a proven cause" },
  assumption: { label: "assumed", tone: "warning", about: "general knowledge, or carried over from another device" },
  chosen: { label: "chosen", tone: "accent", about: "set in this plan" },
};
