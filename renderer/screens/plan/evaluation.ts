/** A plan as it stands on the screen, judged: its prediction, or what is wrong with which field. */
import { toErrorData } from "../../../core/errors.ts";
import { safeParseWith } from "../../../core/input/schema-fault.ts";
import { type Plan, planSchema } from "../../../core/planner/plan.ts";
import { predict } from "../../../core/planner/predict/predict.ts";
import type { Prediction } from "../../../core/planner/predict/prediction.ts";
import { usePlan } from "../../state/plan.ts";

export interface FieldProblem {
  /** "workload.batch" */
  readonly field: string;
  readonly message: string;
  readonly hint?: string;
}

export type Evaluation =
  | { readonly ok: true; readonly prediction: Prediction }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/** Asked by every component of the screen, found out once. */
const known = new WeakMap<Plan, Evaluation>();

export function evaluationOf(plan: Plan): Evaluation {
  const found = known.get(plan);
  if (found !== undefined) return found;
  const evaluation = evaluate(plan);
  known.set(plan, evaluation);
  return evaluation;
}

function evaluate(plan: Plan): Evaluation {
  const parsed = safeParseWith(planSchema, plan);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({ field: path.join("."), message }));
    return { ok: false, problems };
  }
  try {
    return { ok: true, prediction: predict(plan) };
  } catch (error) {
    return { ok: false, problems: [problemOf(error)] };
  }
}

/** What the predictor refuses, at its field; the field's name is not said twice. */
export function problemOf(error: unknown): FieldProblem {
  const { field = "", message, hint } = toErrorData(error);
  return {
    field,
    message: message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message,
    ...(hint !== undefined && { hint }),
  };
}

export function predictionOf(plan: Plan): Prediction | undefined {
  const evaluation = evaluationOf(plan);
  return evaluation.ok ? evaluation.prediction : undefined;
}

/** Of the plan on the screen. */
export function useEvaluation(): Evaluation {
  return evaluationOf(usePlan((store) => store.plan));
}

/** What is wrong with a field of the plan on the screen; whoever asks is drawn anew only when that changes. */
export function useProblem(field: string): FieldProblem | undefined {
  return usePlan(({ plan }) => problemAt(evaluationOf(plan), field));
}

/** What is wrong with a field, or with what lies in it. */
export function problemAt(evaluation: Evaluation, field: string): FieldProblem | undefined {
  if (evaluation.ok) return undefined;
  return evaluation.problems.find((problem) => problem.field === field || problem.field.startsWith(`${field}.`));
}
