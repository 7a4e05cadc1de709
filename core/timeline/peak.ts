/**
 * The highest moment of a window: when, how much, who held it, and what was done just before. The question every
 * out-of-memory error asks.
 */
import { emptyExtremes } from "./column.ts";
import { type Reading, readingAt } from "./readout.ts";
import { bandsOf, heightSeries, type StackHeight } from "./stack.ts";
import type { TimeWindow } from "./time-scale.ts";
import type { Timeline } from "./timeline.ts";

export interface Peak {
  readonly timeSeconds: number;
  /** Height of what is drawn of the stack. */
  readonly bytes: number;
  /** Who held memory then, the largest first. Not `context`: that was there before anybody asked for memory. */
  readonly holders: readonly { readonly consumer: string; readonly bytes: number }[];
  readonly reading: Reading;
}

/** The first highest sample of a window; undefined when it has no samples. */
export function peakIn(timeline: Timeline, window: TimeWindow, height: StackHeight = "capacity"): Peak | undefined {
  const { samples } = timeline;
  const found = emptyExtremes();
  const from = samples.rowHolding(window.startSeconds) ?? samples.rowAtOrAfter(window.startSeconds);
  samples.extremes(heightSeries(height), from, samples.rowAtOrAfter(window.endSeconds), found);
  if (found.maxRow < 0) return undefined;
  const timeSeconds = Math.max(window.startSeconds, samples.timeAt(found.maxRow));
  const reading = readingAt(timeline, timeSeconds);
  if (reading === undefined) return undefined;
  const drawn = new Set(bandsOf(samples, height).map(({ consumer }) => consumer));
  const holders = reading.consumers
    .map(({ consumer, committedBytes }) => ({ consumer, bytes: committedBytes }))
    .filter(({ consumer, bytes }) => bytes > 0 && consumer !== "context" && drawn.has(consumer))
    .sort((a, b) => b.bytes - a.bytes);
  return { timeSeconds, bytes: found.max, holders, reading };
}
