/**
 * What every schedule of a plan takes at least: during each work, what the work needs. A plan whose card has less cannot fit,
 * which is found out before any schedule is looked at.
 */
import { NEEDS, type ScheduledConsumer, WORKS, type Work } from "../../schedule/works.ts";
import { type GpuGroup, groupOf } from "../memory/footprint.ts";
import type { Sizes } from "../predict/occupancy.ts";

/** @param kinds Of GPU, by whose memory is on it. */
export function leastPeakBytes(sizes: Sizes, kinds: readonly (readonly GpuGroup[])[]): number {
  return Math.max(...kinds.flatMap((groups) => WORKS.map((work) => leastBytes(sizes, groups, work))));
}

function leastBytes(sizes: Sizes, groups: readonly GpuGroup[], work: Work): number {
  const { reads, scratch } = NEEDS[work];
  let bytes = groups.includes("engine") ? sizes.engineFixed : 0;
  for (const group of groups) bytes += sizes.context[group];
  for (const consumer of [...reads, ...scratch]) {
    if (groups.includes(groupOf(consumer))) bytes += neededBytes(sizes, work, consumer);
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
