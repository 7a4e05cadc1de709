/** A field of the plan as a control uses it. */
import { editPlan, usePlan } from "../../../state/plan.ts";
import { useProblem } from "../evaluation.ts";
import type { Lens } from "./lens.ts";

export interface PlanField<Value> {
  readonly field: string;
  readonly value: Value;
  readonly set: (value: Value) => void;
  /** What is wrong with it, with what is allowed. */
  readonly problem: string | undefined;
}

export function usePlanField<Value>({ field, get, set }: Lens<Value>): PlanField<Value> {
  const value = usePlan((store) => get(store.plan));
  const problem = useProblem(field);
  return {
    field,
    value,
    set: (next) => editPlan(field, (plan) => set(plan, next)),
    problem: problem && [problem.message, problem.hint].filter((part) => part !== undefined).join("; "),
  };
}
