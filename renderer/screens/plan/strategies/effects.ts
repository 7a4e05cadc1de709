/** What every strategy saves and costs here: the plan with it and without it, predicted and subtracted. */
import type { Plan } from "../../../../core/planner/plan.ts";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { NO_STRATEGIES, type StrategySet } from "../../../../core/schedule/strategies.ts";
import { evaluationOf } from "../evaluation.ts";

/** Switched from how it stands. */
export type Effect =
  | {
      readonly ok: true;
      /** Of the fullest GPU; positive takes more. */
      readonly peakBytes: number;
      /** Of a step. */
      readonly seconds: number;
      readonly plan: Plan;
    }
  /** Why it cannot be. */
  | { readonly ok: false; readonly problem: string };

export function effectOf(prediction: Prediction, change: Partial<StrategySet>): Effect {
  const plan = { ...prediction.plan, strategies: { ...prediction.plan.strategies, ...change } };
  const evaluation = evaluationOf(plan);
  if (!evaluation.ok) {
    const [problem] = evaluation.problems;
    return { ok: false, problem: [problem?.message, problem?.hint].filter(Boolean).join("; ") };
  }
  const { prediction: changed } = evaluation;
  return {
    ok: true,
    peakBytes: changed.fullest.peakBytes - prediction.fullest.peakBytes,
    seconds: stepSeconds(changed) - stepSeconds(prediction),
    plan,
  };
}

export function stepSeconds({ workSeconds, memorySeconds }: Prediction): number {
  return workSeconds + memorySeconds;
}

export type StrategyName = keyof StrategySet;

/** Whether a strategy is switched on at all. */
export function isOn(strategies: StrategySet, name: Exclude<StrategyName, "int8">): boolean {
  const value = strategies[name];
  const off = NO_STRATEGIES[name];
  if (typeof value === "object" && typeof off === "object") return value.method !== off.method;
  return value !== off;
}
