/** What `tideline plan --json` prints: bytes and seconds, with the reasons of each. */
import { figuresOf } from "../../../core/planner/predict/figures.ts";
import type { Prediction } from "../../../core/planner/predict/prediction.ts";
import type { PlanAnswer } from "./command.ts";

export function planAsJson({ prediction, best, changes, exports }: PlanAnswer) {
  return {
    ...predictionAsJson(prediction),
    ...(best && { best: { found: best.kind === "found", schedulesCompared: best.schedules } }),
    ...(best?.kind === "none" && {
      changesThatFit: changes.map(({ edits, effect, prediction: changed }) => ({
        edits,
        effect,
        verdict: changed.verdict,
        stepSeconds: changed.workSeconds + changed.memorySeconds,
        plan: changed.plan,
      })),
    }),
    ...(exports.length > 0 && { exports }),
  };
}

function predictionAsJson(prediction: Prediction) {
  const { plan, schedule, capacityBytes, marginBytes, fit, verdict, gpus, phases, hostBytes } = prediction;
  return {
    plan,
    fit,
    verdict,
    capacityBytes,
    marginBytes,
    gpus,
    stepSeconds: prediction.workSeconds + prediction.memorySeconds,
    workSeconds: prediction.workSeconds,
    memorySeconds: prediction.memorySeconds,
    hostBytes,
    phases: phases.map(({ work, workTerm, memorySeconds, transitions, peaks }) => ({
      work,
      workSeconds: workTerm,
      memorySeconds,
      transitions: transitions.map(({ label, edge, totalSeconds, copiedBytes, seconds }) => ({
        label,
        edge,
        seconds: totalSeconds,
        copiedBytes,
        terms: seconds,
      })),
      peaks,
    })),
    schedule,
    figures: figuresOf(prediction),
  };
}
