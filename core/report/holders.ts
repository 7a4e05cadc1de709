/** Who held memory at a moment, in the order in which it is drawn. */
import type { PhaseRecord } from "../run/records.ts";
import { STACK_ORDER } from "../timeline/stack.ts";

export type Holders = PhaseRecord["holders"];

export interface Held {
  readonly consumer: keyof Holders;
  readonly bytes: number;
}

/** From the bottom of the stack to its top; those that hold nothing are left out. */
export function heldInOrder(holders: Holders): readonly Held[] {
  return STACK_ORDER.flatMap((consumer) => {
    // What nobody asked for counts against no capacity, and is no holder.
    if (consumer === "context" || consumer === "unaccounted") return [];
    const bytes = holders[consumer] ?? 0;
    return bytes === 0 ? [] : { consumer, bytes };
  });
}
