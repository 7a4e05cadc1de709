/** The other way round: with the schedule of a plan as it is, how large one size can be before the plan no longer fits. */
import { assertNever, toErrorData } from "../../errors.ts";
import { type Plan, planSchema } from "../plan.ts";
import { predict } from "../predict/predict.ts";
import type { Prediction } from "../predict/prediction.ts";

export const SIZES = ["batch", "microBatch", "responseTokens", "kvCacheBytes"] as const;
export type Size = (typeof SIZES)[number];

export interface Largest {
  readonly size: Size;
  /** The largest that fits; 0 where not even the least does. A KV cache to a thousandth of the card. */
  readonly value: number;
  /** With it; undefined where nothing fits. */
  readonly prediction: Prediction | undefined;
}

/**
 * How far a size can grow alone, leaving the margin; where another field of the plan limits it first, so far.
 * @throws TidelineError `plan_invalid` as `predict`.
 */
export function largestThatFits(plan: Plan, size: Size): Largest {
  const { capacityBytes } = predict(plan);
  const unit = size === "kvCacheBytes" ? Math.ceil(capacityBytes / 1024) : 1;
  // There are no fewer rollouts in a step than in a micro-batch.
  const least = size === "batch" ? plan.workload.microBatch : 1;
  let fitting: Prediction | undefined;
  const fits = (units: number): boolean => {
    const prediction = fittingPrediction(withSize(plan, size, units * unit));
    fitting = prediction ?? fitting;
    return prediction !== undefined;
  };
  if (!fits(least)) return { size, value: 0, prediction: undefined };
  let units = least;
  let tooMany = 2 * least;
  while (fits(tooMany)) {
    units = tooMany;
    tooMany *= 2;
  }
  while (tooMany - units > 1) {
    const middle = Math.floor((units + tooMany) / 2);
    if (fits(middle)) units = middle;
    else tooMany = middle;
  }
  return { size, value: units * unit, prediction: fitting };
}

/** Undefined for one that does not fit, and for one that no plan can have. */
function fittingPrediction(plan: Plan): Prediction | undefined {
  if (!planSchema.safeParse(plan).success) return undefined;
  try {
    const prediction = predict(plan);
    return prediction.fit === "fits" ? prediction : undefined;
  } catch (error) {
    // Past the positions of a model, or below one block of its cache.
    if (toErrorData(error).code === "plan_invalid") return undefined;
    throw error;
  }
}

function withSize(plan: Plan, size: Size, value: number): Plan {
  const { workload } = plan;
  switch (size) {
    case "batch":
    case "microBatch":
    case "responseTokens":
      return { ...plan, workload: { ...workload, [size]: value } };
    case "kvCacheBytes":
      return { ...plan, workload: { ...workload, engine: { ...workload.engine, kvCacheBytes: value } } };
    default:
      return assertNever(size);
  }
}
