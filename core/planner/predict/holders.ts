/** Who holds the memory of a moment, in bytes and in reasons. */
import { CONSUMERS, type Consumer } from "../../consumers.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../schedule/works.ts";
import { type Footprint, type GpuGroup, groupOf } from "../memory/footprint.ts";
import type { Term } from "../provenance.ts";
import { consumerBytes, type Occupancy, occupiedBytes, type Sizes } from "./occupancy.ts";
import type { ConsumerBytes, PhasePeak, PredictedHolder } from "./prediction.ts";

/** The highest of some moments on a GPU of these groups. */
export function peakOf(
  occupancies: readonly Occupancy[],
  groups: readonly GpuGroup[],
  sizes: Sizes,
  footprint: Footprint,
): PhasePeak {
  let [highest] = occupancies;
  let bytes = Number.NEGATIVE_INFINITY;
  for (const occupancy of occupancies) {
    const held = occupiedBytes(sizes, occupancy, groups);
    if (held > bytes) [highest, bytes] = [occupancy, held];
  }
  return highest === undefined
    ? { bytes: 0, holders: [] }
    : { bytes, holders: holdersOf(highest, groups, sizes, footprint) };
}

export function bytesByConsumer(sizes: Sizes, occupancy: Occupancy, groups: readonly GpuGroup[]): ConsumerBytes {
  const bytes: Partial<Record<Consumer, number>> = {};
  for (const consumer of SCHEDULED_CONSUMERS) {
    if (groups.includes(groupOf(consumer))) bytes[consumer] = consumerBytes(sizes, occupancy, consumer);
  }
  bytes.workspace = (bytes.workspace ?? 0) + occupancy.bucketBytes;
  bytes.context = groups.reduce((sum, group) => sum + sizes.context[group], 0);
  return bytes;
}

function holdersOf(
  occupancy: Occupancy,
  groups: readonly GpuGroup[],
  sizes: Sizes,
  footprint: Footprint,
): readonly PredictedHolder[] {
  const bytes = bytesByConsumer(sizes, occupancy, groups);
  return CONSUMERS.flatMap((consumer) => {
    const held = bytes[consumer] ?? 0;
    return held === 0 ? [] : [{ consumer, bytes: held, terms: termsOf(consumer, occupancy, groups, footprint) }];
  });
}

function termsOf(
  consumer: Consumer,
  occupancy: Occupancy,
  groups: readonly GpuGroup[],
  footprint: Footprint,
): readonly Term[] {
  if (consumer === "context") return groups.flatMap((group) => footprint.context[group]);
  if (consumer === "pool" || consumer === "unaccounted") return [];
  return scheduledTerms(consumer, occupancy, groups, footprint);
}

function scheduledTerms(
  consumer: ScheduledConsumer,
  { passes, bucketBytes }: Occupancy,
  groups: readonly GpuGroup[],
  footprint: Footprint,
): readonly Term[] {
  switch (consumer) {
    case "activations":
    case "logits": {
      const work = passes[consumer];
      return (work && footprint.passes[work]?.[consumer]) ?? [];
    }
    case "workspace": {
      const bucket: readonly Term[] =
        bucketBytes > 0
          ? [{ cause: "a bucket of weights on their way", amount: bucketBytes, provenance: "identity" }]
          : [];
      if (!groups.includes("engine")) return bucket;
      return [...footprint.engineFixed, ...(passes.workspace ? footprint.workspace.terms : []), ...bucket];
    }
    default:
      return footprint.kept[consumer];
  }
}
