/**
 * What strategies saved, and what they cost, by the measurements of a run and of its baseline. The screen, the command
 * line and the report all take it from here.
 */
import type { Measurement } from "./state.ts";

export interface Bargain {
  readonly savedBytes: number;
  /** Of the baseline's peak. */
  readonly savedShare: number;
  /** More of memory actions. What whole steps differ by is this and the noise of two runs, one after the other. */
  readonly paidSecondsPerStep: number;
}

/** Undefined where there is nothing to compare: no baseline, one that was stopped, or a run without a completed step. */
export function bargainOf(own: Measurement, baseline: Measurement | undefined): Bargain | undefined {
  if (baseline === undefined || baseline.failure !== undefined || own.steps === 0 || baseline.steps === 0) {
    return undefined;
  }
  const savedBytes = baseline.peakBytes - own.peakBytes;
  return {
    savedBytes,
    savedShare: savedBytes / Math.max(1, baseline.peakBytes),
    paidSecondsPerStep: own.memorySeconds - baseline.memorySeconds,
  };
}
