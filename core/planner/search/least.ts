/**
 * What every schedule of a plan takes at least: during each work, what the work needs. A plan whose card has less cannot fit,
 * which is found out before any schedule is looked at; most often from what trains alone, before anything else is counted.
 */
import { streamedConsumers } from "../../schedule/residency.ts";
import type { StrategySet } from "../../schedule/strategies.ts";
import { NEEDS, type ScheduledConsumer, WORKS, type Work } from "../../schedule/works.ts";
import { type GpuGroup, groupOf } from "../memory/footprint.ts";
import { trainingMemory } from "../memory/launcher/trainer.ts";
import type { Sizes } from "../predict/occupancy.ts";
import { sumOf } from "../provenance.ts";
import type { ResolvedPlan } from "../resolve.ts";

/** Whether the policy or the critic needs more than this by itself while it trains. */
export function isTrainingAbove(resolved: ResolvedPlan, budgetBytes: number): boolean {
  // The embedded engine's sizes are a few sums.
  if (resolved.backend === "embedded") return false;
  const { optimizerStreamed } = resolved.plan.strategies;
  return [resolved.policy, resolved.critic].some((role) => {
    const { weights, gradients, optimizer, train } = trainingMemory(resolved, role);
    const needed = [weights, gradients, optimizerStreamed ? [] : optimizer, train.activations, train.logits];
    return needed.reduce((sum, terms) => sum + sumOf(terms), 0) > budgetBytes;
  });
}

/**
 * @param kinds Of GPU, by whose memory is on it.
 * @param strategies The plan's: a streamed optimizer may be on the host while it updates.
 */
export function leastPeakBytes(
  sizes: Sizes,
  kinds: readonly (readonly GpuGroup[])[],
  { optimizerStreamed }: Pick<StrategySet, "optimizerStreamed">,
): number {
  const away = optimizerStreamed ? streamedConsumers({ optimizers: "streamed" }) : [];
  return Math.max(...kinds.flatMap((groups) => WORKS.map((work) => leastBytes(sizes, groups, work, away))));
}

function leastBytes(sizes: Sizes, groups: readonly GpuGroup[], work: Work, away: readonly ScheduledConsumer[]): number {
  const { reads, scratch } = NEEDS[work];
  let bytes = groups.includes("engine") ? sizes.engineFixed : 0;
  for (const group of groups) bytes += sizes.context[group];
  for (const consumer of [...reads, ...scratch]) {
    if (groups.includes(groupOf(consumer)) && !away.includes(consumer)) bytes += neededBytes(sizes, work, consumer);
  }
  return bytes;
}

function neededBytes(sizes: Sizes, work: Work, consumer: ScheduledConsumer): number {
  switch (consumer) {
    case "activations":
    case "logits":
      return sizes.passes[work]?.[consumer] ?? 0;
    case "workspace":
      return sizes.workspace;
    case "engine.weights":
      // The engine may read the trainer's.
      return Math.min(sizes.kept[consumer], sizes.kept["policy.weights"]);
    default:
      return sizes.kept[consumer];
  }
}
