/**
 * The memory strategies that a person switches on and off. S1 to S7 number the ideas of the discussion they come from
 * (sglang issue 2583); S10, stepping through the loop, is cursor.ts. Nothing on is the plain colocated loop: everything
 * resident, all the time. build.ts turns a set into a schedule.
 */
import { z } from "zod";

const bytes = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);

/** How weights get from the policy to the engine (S3). Bucketed, as a broadcast does it, is the baseline. */
export const swapStrategySchema = z.discriminatedUnion("method", [
  z.strictObject({ method: z.literal("bucketed"), bucketBytes: bytes }),
  z.strictObject({ method: z.literal("copy") }),
  /** The engine reads the policy's bytes: there is one copy, always. */
  z.strictObject({ method: z.literal("share") }),
]);

/** Where a frozen model waits while no phase needs it (S4). */
const frozenPlace = z.enum(["resident", "host", "disk"]);

const MIB = 2 ** 20;

/** Left out is off. */
export const strategySetSchema = z.strictObject({
  /** S1: no KV cache while the engine is idle. */
  releaseKvCache: z.boolean().default(false),
  /** S2: no engine weights between the rollout and the next update. */
  releaseEngineWeights: z.boolean().default(false),
  /** S3 */
  swap: swapStrategySchema.default({ method: "bucketed", bucketBytes: 512 * MIB }),
  /** S4 */
  reference: frozenPlace.default("resident"),
  /** S4 */
  reward: frozenPlace.default("resident"),
  /** S5: gradients, activations and logits only from the first score to the last update. */
  trainingMemoryOnlyWhileTraining: z.boolean().default(false),
  /** S5: optimizer states on the host except during their update. */
  optimizerOnHost: z.boolean().default(false),
  /**
   * S5, with the one above: they stay there during their update too, which passes them through the device piece by piece.
   * What "Adam offload" means where the states are larger than the card.
   */
  optimizerStreamed: z.boolean().default(false),
  /**
   * S6: the policy's weights only outside the rollout, the engine's only inside it, handed over both ways. `as_is`: both
   * have one precision and bits do not change (float32 master weights, if any, are part of policy.optimizer). `cast`: the
   * policy's weights are the master, in more bits than the engine's: what comes back has lost the lowest ones.
   */
  singlePolicyCopy: z.enum(["off", "as_is", "cast"]).default("off"),
  /** S7: frozen roles that are loaded as int8. */
  int8: z.strictObject({ reference: z.boolean().default(false), reward: z.boolean().default(false) }).prefault({}),
});
export type StrategySet = z.infer<typeof strategySetSchema>;

/** The plain colocated loop. */
export const NO_STRATEGIES: StrategySet = strategySetSchema.parse({});
