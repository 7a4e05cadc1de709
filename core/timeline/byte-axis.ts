/** How far up the byte axis goes. It changes in steps, so that what is drawn does not breathe while one looks at it. */
import { emptyExtremes } from "./column.ts";
import { capacityAt, heightSeries, type StackHeight } from "./stack.ts";
import { SERIES, type TimelineStore } from "./store.ts";
import { byteTicks } from "./ticks.ts";
import type { TimeWindow } from "./time-scale.ts";

const TICKS = 6;
/** Room above the capacity line for its label. */
const HEADROOM = 1.08;

export interface ByteAxis {
  readonly topBytes: number;
  readonly ticks: readonly number[];
}

/** The axis for a window: up to a capacity, or just to what the window holds (`data`). */
export function byteAxis(store: TimelineStore, window: TimeWindow, height: StackHeight): ByteAxis {
  const from = Math.max(store.firstRow, store.rowAtOrAfter(window.startSeconds) - 1);
  const to = Math.max(from + 1, store.rowAtOrAfter(window.endSeconds));
  const stack = emptyExtremes();
  store.extremes(heightSeries(height), from, to, stack);
  const highest = Math.max(1, stack.max);
  if (height === "data") {
    const step = byteTicks(highest * HEADROOM, TICKS)[1] ?? 1;
    const topBytes = Math.ceil((highest * HEADROOM) / (step / 2)) * (step / 2);
    return { topBytes, ticks: byteTicks(topBytes, TICKS) };
  }
  const topBytes = Math.max(highest, highestCapacity(store, from, to, height)) * HEADROOM;
  return { topBytes, ticks: byteTicks(topBytes, TICKS) };
}

/** The context is there before the first region and stays, so the highest total is also the highest of the rest. */
function highestCapacity(store: TimelineStore, from: number, to: number, height: StackHeight): number {
  const total = emptyExtremes();
  store.extremes(SERIES.total, from, to, total);
  return total.maxRow < 0 ? 0 : capacityAt(store, total.maxRow, height);
}
