/** How far up the byte axis goes. It changes in steps, so that what is drawn does not breathe while one looks at it. */
import { emptyExtremes } from "./column.ts";
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

/** An axis that reaches the device's capacity (`capacity`), or just what a window holds (`data`). */
export function byteAxis(store: TimelineStore, window: TimeWindow, height: "capacity" | "data"): ByteAxis {
  const from = Math.max(store.firstRow, store.rowAtOrAfter(window.startSeconds) - 1);
  const to = Math.max(from + 1, store.rowAtOrAfter(window.endSeconds));
  const stack = emptyExtremes();
  store.extremes(SERIES.stack, from, to, stack);
  const highest = Math.max(1, stack.max);
  if (height === "data") {
    const step = byteTicks(highest * HEADROOM, TICKS)[1] ?? 1;
    const topBytes = Math.ceil((highest * HEADROOM) / (step / 2)) * (step / 2);
    return { topBytes, ticks: byteTicks(topBytes, TICKS) };
  }
  const total = emptyExtremes();
  store.extremes(SERIES.total, from, to, total);
  const topBytes = Math.max(highest, total.max) * HEADROOM;
  return { topBytes, ticks: byteTicks(topBytes, TICKS) };
}
