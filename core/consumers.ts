/**
 * Consumers: the rows of every timeline, who holds bytes on the device. The names are the design's and are used as
 * they stand in code, on screen, in files and in errors.
 */

export const CONSUMERS = [
  "engine.weights",
  "engine.kv_cache",
  "policy.weights",
  "policy.gradients",
  "policy.optimizer",
  "critic.weights",
  "critic.gradients",
  "critic.optimizer",
  "reference.weights",
  "reward.weights",
  "activations",
  "logits",
  "workspace",
  "context",
  /** Chunks that the pool holds and that no region maps: free for this process, not for others. */
  "pool",
  /** What the system says is used and nobody above accounts for. */
  "unaccounted",
] as const;

export type Consumer = (typeof CONSUMERS)[number];

/** Bands of the stack that are no region's. */
const BESIDE_REGIONS = ["context", "pool", "unaccounted"] as const;
export type RegionConsumer = Exclude<Consumer, (typeof BESIDE_REGIONS)[number]>;

/** Also of names that are not in the list: regions may have any. */
export function isOfRegions(consumer: string): boolean {
  return !BESIDE_REGIONS.some((one) => one === consumer);
}

/** Models that can sit on the device beside the engine. */
export const ROLES = ["policy", "critic", "reference", "reward"] as const;
export type Role = (typeof ROLES)[number];

/** Tag: the field's name for a releasable group of the engine. */
export const ENGINE_TAGS = ["weights", "kv_cache", "workspace"] as const;
export type EngineTag = (typeof ENGINE_TAGS)[number];

/** The consumer that holds an engine tag. */
export function engineConsumer(tag: EngineTag): Consumer {
  return tag === "workspace" ? "workspace" : `engine.${tag}`;
}

/** Where a consumer's bytes are. */
export const RESIDENCIES = ["resident", "released", "host", "disk", "shared"] as const;
