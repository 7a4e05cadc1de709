/** Which model every role has, as the form changes it. */
import { modelName, type Plan, type PlannedModel } from "../../../../core/planner/plan.ts";

/** Another model for the policy, and for every role that had the policy's. */
export function withModel(plan: Plan, model: PlannedModel): Plan {
  const { policy, critic, reference, reward } = plan.workload;
  const before = modelName(policy.model);
  const change = <Role extends { readonly model: PlannedModel }>(role: Role): Role =>
    modelName(role.model) === before ? { ...role, model } : role;
  return {
    ...plan,
    workload: {
      ...plan.workload,
      policy: change(policy),
      critic: change(critic),
      reference: change(reference),
      reward: reward === "rule" ? reward : change(reward),
    },
  };
}

/** A reward model of the reference's kind, or a rule. */
export function withReward(plan: Plan, kind: "rule" | "model"): Plan {
  const { workload, strategies } = plan;
  if (kind === "rule") {
    const without = { ...strategies, reward: "resident" as const, int8: { ...strategies.int8, reward: false } };
    return { ...plan, workload: { ...workload, reward: "rule" }, strategies: without };
  }
  return workload.reward === "rule" ? { ...plan, workload: { ...workload, reward: workload.reference } } : plan;
}
