/**
 * The nine works of one PPO step, and what each of them needs: results of other works, and consumers on the device.
 * Everything that is said elsewhere about order and residency follows from this one table.
 */
import { CONSUMERS, isOfRegions, type RegionConsumer } from "../consumers.ts";

export const WORKS = [
  "rollout",
  "score_policy",
  "score_reference",
  "score_reward",
  "score_critic",
  "advantages",
  "train_critic",
  "train_policy",
  "update_weights",
] as const;
export type Work = (typeof WORKS)[number];

/** Consumers that a schedule can act on: those that hold a model's or the engine's memory. */
export type ScheduledConsumer = RegionConsumer;
export const SCHEDULED_CONSUMERS: readonly ScheduledConsumer[] = CONSUMERS.filter(
  (consumer): consumer is ScheduledConsumer => isOfRegions(consumer),
);

export interface WorkNeeds {
  /** Works of the same step whose results it computes with. */
  readonly results: readonly Work[];
  /** Resident, with defined contents that are those of the last update. */
  readonly reads: readonly ScheduledConsumer[];
  /** What it changes, of the above. */
  readonly writes: readonly ScheduledConsumer[];
  /** Resident, whatever is in it. Afterwards nothing in it is worth keeping: its contents are undefined again. */
  readonly scratch: readonly ScheduledConsumer[];
}

const SCORING = ["activations", "logits"] as const;

export const NEEDS: Readonly<Record<Work, WorkNeeds>> = {
  rollout: { results: [], reads: ["engine.weights"], writes: [], scratch: ["engine.kv_cache", "workspace"] },
  score_policy: { results: ["rollout"], reads: ["policy.weights"], writes: [], scratch: SCORING },
  score_reference: { results: ["rollout"], reads: ["reference.weights"], writes: [], scratch: SCORING },
  score_reward: { results: ["rollout"], reads: ["reward.weights"], writes: [], scratch: SCORING },
  score_critic: { results: ["rollout"], reads: ["critic.weights"], writes: [], scratch: SCORING },
  advantages: {
    results: ["score_policy", "score_reference", "score_reward", "score_critic"],
    reads: [],
    writes: [],
    scratch: [],
  },
  train_critic: {
    results: ["score_critic", "advantages"],
    reads: ["critic.weights", "critic.optimizer"],
    writes: ["critic.weights", "critic.optimizer"],
    scratch: ["critic.gradients", ...SCORING],
  },
  train_policy: {
    results: ["score_policy", "advantages"],
    reads: ["policy.weights", "policy.optimizer"],
    writes: ["policy.weights", "policy.optimizer"],
    scratch: ["policy.gradients", ...SCORING],
  },
  /** The engine takes up the weights that a swap has put in its place. */
  update_weights: { results: ["train_policy"], reads: ["engine.weights"], writes: [], scratch: [] },
};

const SCRATCH: ReadonlySet<ScheduledConsumer> = new Set(WORKS.flatMap((work) => NEEDS[work].scratch));

/** Whether a consumer's bytes are never carried from one phase to the next. */
export function isScratch(consumer: ScheduledConsumer): boolean {
  return SCRATCH.has(consumer);
}
