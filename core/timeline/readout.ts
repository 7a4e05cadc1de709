/**
 * What a timeline says at one moment, and between two: the figures beside the pointer and between the cursors.
 */
import type { ActionRecord } from "../contract/timeline.ts";
import { bandsOf, capacityAt } from "./stack.ts";
import { SERIES } from "./store.ts";
import { actionsAround, type Phase, phaseAt, type Timeline } from "./timeline.ts";

export interface ConsumerReading {
  readonly consumer: string;
  readonly committedBytes: number;
  /** Absent for pool, context and unaccounted. */
  readonly usedBytes: number | undefined;
  readonly reservedBytes: number | undefined;
}

export interface Reading {
  readonly timeSeconds: number;
  readonly totalBytes: number;
  /** What the device says is used. */
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** What regions and the pool hold, and what they may: without the context, which was there before them. */
  readonly regionBytes: number;
  readonly regionCapacityBytes: number;
  /** Host memory that backups take. */
  readonly hostBackupBytes: number;
  /** From the bottom of the stack to its top, those with nothing included. */
  readonly consumers: readonly ConsumerReading[];
  readonly phase: Phase | undefined;
  readonly before: ActionRecord | undefined;
  readonly after: ActionRecord | undefined;
}

/** The reading at a time; undefined where there are no samples. */
export function readingAt(timeline: Timeline, timeSeconds: number): Reading | undefined {
  const row = timeline.samples.rowHolding(timeSeconds);
  return row === undefined ? undefined : readingOfRow(timeline, row, timeSeconds);
}

/** The newest reading; undefined before the first sample. */
export function latestReading(timeline: Timeline): Reading | undefined {
  const { samples } = timeline;
  if (samples.rows === 0) return undefined;
  const row = samples.endRow - 1;
  return readingOfRow(timeline, row, samples.timeAt(row));
}

function readingOfRow(timeline: Timeline, row: number, timeSeconds: number): Reading {
  const { samples } = timeline;
  const totalBytes = samples.valueAt(SERIES.total, row);
  const usedBytes = samples.valueAt(SERIES.used, row);
  return {
    timeSeconds,
    totalBytes,
    usedBytes,
    freeBytes: Math.max(0, totalBytes - usedBytes),
    regionBytes: samples.valueAt(SERIES.regions, row),
    regionCapacityBytes: capacityAt(samples, row, "regions"),
    hostBackupBytes: samples.valueAt(SERIES.hostBackup, row),
    consumers: bandsOf(samples).map((band) => ({
      consumer: band.consumer,
      committedBytes: samples.valueAt(band.committed, row),
      usedBytes: band.parts && samples.valueAt(band.parts.used, row),
      reservedBytes: band.parts && samples.valueAt(band.parts.reserved, row),
    })),
    phase: phaseAt(timeline.phases, timeSeconds),
    ...actionsAround(timeline.actions, timeSeconds),
  };
}

/** What changed from cursor A to cursor B; negative when B is earlier or less. */
export interface Difference {
  readonly seconds: number;
  readonly usedBytes: number;
  /** Those whose committed bytes differ, the largest change first. */
  readonly consumers: readonly { readonly consumer: string; readonly committedBytes: number }[];
}

export function differenceBetween(a: Reading, b: Reading): Difference {
  const before = new Map(a.consumers.map((reading) => [reading.consumer, reading.committedBytes]));
  return {
    seconds: b.timeSeconds - a.timeSeconds,
    usedBytes: b.usedBytes - a.usedBytes,
    consumers: b.consumers
      .map(({ consumer, committedBytes }) => ({
        consumer,
        committedBytes: committedBytes - (before.get(consumer) ?? 0),
      }))
      .filter((change) => change.committedBytes !== 0)
      .sort((x, y) => Math.abs(y.committedBytes) - Math.abs(x.committedBytes)),
  };
}
