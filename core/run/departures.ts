/** Where memory is otherwise than the schedule has it at this place: something was done by hand. */
import type { Check } from "../schedule/check.ts";
import type { ConsumerMemory } from "../schedule/residency.ts";
import { isScratch, SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../schedule/works.ts";
import type { RunState } from "./state.ts";

/**
 * Consumers that differ, with how the schedule would have them.
 * @param check Of the run's schedule.
 */
export function departuresOf(
  { start, moments }: Extract<Check, { readonly ok: true }>,
  { cursor, memory, itemStartedSeconds }: Pick<RunState, "cursor" | "memory" | "itemStartedSeconds">,
): ReadonlyMap<ScheduledConsumer, ConsumerMemory> {
  const before = moments[cursor.index - 1]?.state ?? start;
  // What an item under way does may be done already.
  const after = itemStartedSeconds === undefined ? undefined : moments[cursor.index]?.state;
  const departed = SCHEDULED_CONSUMERS.filter((consumer) => {
    const now = memory[consumer];
    const isPlanned = isSame(consumer, now, before[consumer]);
    return !isPlanned && (after === undefined || !isSame(consumer, now, after[consumer]));
  });
  return new Map(departed.map((consumer) => [consumer, before[consumer]]));
}

/** What scratch memory holds between two phases means nothing to any of them. */
function isSame(consumer: ScheduledConsumer, one: ConsumerMemory, other: ConsumerMemory): boolean {
  return one.residency === other.residency && (isScratch(consumer) || one.contents === other.contents);
}
