/** Sets of strategies, roles and sizes that the schedule's tests draw from. */
import fc from "fast-check";
import type { Sizes } from "../../../core/schedule/check.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { type StrategySet, strategySetSchema } from "../../../core/schedule/strategies.ts";

export const ROLES: Roles = { engine: "bf16", policy: "bf16", critic: "bf16", reference: "bf16", reward: "bf16" };
export const MASTER_ROLES: Roles = { ...ROLES, policy: "fp32" };

export const strategies = (some: Parameters<typeof strategySetSchema.parse>[0]): StrategySet =>
  strategySetSchema.parse(some);

/** Everything that goes together. */
export const EVERYTHING = strategies({
  releaseKvCache: true,
  releaseEngineWeights: true,
  swap: { method: "copy" },
  reference: "host",
  reward: "disk",
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
  singlePolicyCopy: "as_is",
  int8: { reference: true, reward: true },
});

const swap = fc.constantFrom<StrategySet["swap"]>(
  { method: "bucketed", bucketBytes: 3 },
  { method: "copy" },
  { method: "share" },
);
const place = fc.constantFrom<StrategySet["reference"]>("resident", "host", "disk");

export const anyStrategies: fc.Arbitrary<StrategySet> = fc.record({
  releaseKvCache: fc.boolean(),
  releaseEngineWeights: fc.boolean(),
  swap,
  reference: place,
  reward: place,
  trainingMemoryOnlyWhileTraining: fc.boolean(),
  optimizerOnHost: fc.boolean(),
  optimizerStreamed: fc.boolean(),
  singlePolicyCopy: fc.constantFrom("off", "as_is", "cast"),
  int8: fc.record({ reference: fc.boolean(), reward: fc.boolean() }),
});

export const anyRoles: fc.Arbitrary<Roles> = fc.record({
  engine: fc.constantFrom("bf16", "fp16"),
  policy: fc.constantFrom("bf16", "fp32"),
  critic: fc.constantFrom("bf16", "fp32"),
  reference: fc.constantFrom("bf16", "fp32"),
  reward: fc.constantFrom("bf16", "rule"),
});

const BYTES = { fp32: 4, bf16: 2, fp16: 2, int8: 1, rule: 0 } as const;

/** Bytes of a model of `parameters`, with everything that goes with it, for roles as they stand in a schedule. */
export function sizesOf(roles: Roles, parameters: number, scratch: readonly number[]): Sizes {
  const [kv = 0, activations = 0, logits = 0, workspace = 0] = scratch;
  return {
    "engine.weights": parameters * BYTES[roles.engine],
    "engine.kv_cache": kv,
    "policy.weights": parameters * BYTES[roles.policy],
    "policy.gradients": parameters * 4,
    "policy.optimizer": parameters * 8,
    "critic.weights": parameters * BYTES[roles.critic],
    "critic.gradients": parameters * 4,
    "critic.optimizer": parameters * 8,
    "reference.weights": parameters * BYTES[roles.reference],
    "reward.weights": parameters * BYTES[roles.reward],
    activations,
    logits,
    workspace,
  };
}
