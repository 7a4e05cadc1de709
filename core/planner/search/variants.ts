/** The plans that differ in what is stored: precisions of frozen models and of the KV cache, where a search may choose them. */
import type { FrozenRole, Plan, PlannedWorkload } from "../plan.ts";

export type KvCacheType = PlannedWorkload["engine"]["kvCacheType"];

/** What a search may choose beside where memory is. Left out is nothing: such choices change what is learned, a little. */
export interface AllowedPrecisions {
  readonly reference?: readonly FrozenRole["precision"][];
  readonly reward?: readonly FrozenRole["precision"][];
  readonly kvCache?: readonly KvCacheType[];
}

/** Every combination, the plan as it is first. */
export function variantsOf(plan: Plan, allowed: AllowedPrecisions): readonly Plan[] {
  const caches = others(plan.workload.engine.kvCacheType, allowed.kvCache).map((type) => withKvCache(plan, type));
  return caches
    .flatMap((one) => frozenVariants(one, "reference", allowed.reference))
    .flatMap((one) => frozenVariants(one, "reward", allowed.reward));
}

function frozenVariants(
  plan: Plan,
  role: "reference" | "reward",
  allowed: readonly FrozenRole["precision"][] | undefined,
): readonly Plan[] {
  const frozen = plan.workload[role];
  if (frozen === "rule") return [plan];
  const stored = plan.strategies.int8[role] ? "int8" : frozen.precision;
  return [plan, ...(allowed ?? []).filter((one) => one !== stored).map((one) => storedAs(plan, role, one))];
}

function others<T>(planned: T, allowed: readonly T[] = []): readonly T[] {
  return [planned, ...allowed.filter((one) => one !== planned)];
}

export function withKvCache(plan: Plan, kvCacheType: KvCacheType): Plan {
  return { ...plan, workload: { ...plan.workload, engine: { ...plan.workload.engine, kvCacheType } } };
}

/** A frozen role stored in another precision; int8 of a float model is the strategy of that name. */
export function storedAs(plan: Plan, role: "reference" | "reward", precision: FrozenRole["precision"]): Plan {
  const frozen = plan.workload[role];
  if (frozen === "rule") return plan;
  const isFloat = ["fp32", "bf16", "fp16"].includes(frozen.precision);
  const quantise = precision === "int8" && isFloat;
  return {
    ...plan,
    workload: { ...plan.workload, [role]: quantise ? frozen : { ...frozen, precision } },
    strategies: { ...plan.strategies, int8: { ...plan.strategies.int8, [role]: quantise } },
  };
}
