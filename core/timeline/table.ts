/**
 * The visible window as a table: for readers who do not see the chart, and for spreadsheets. One row per stretch of
 * time, with the highest committed bytes of every consumer in it: the same figures as the picture, no peak lost.
 */
import { binRows, binSeries } from "./bins.ts";
import { bandsOf } from "./stack.ts";
import { SERIES } from "./store.ts";
import { spanSeconds, type TimeWindow } from "./time-scale.ts";
import type { Timeline } from "./timeline.ts";

export interface TimelineTableRow {
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** Highest and lowest that the device said was used; undefined where there are no samples. */
  readonly used: { readonly maxBytes: number; readonly minBytes: number } | undefined;
  /** Highest committed bytes, in the order of `consumers`. */
  readonly committedBytes: readonly number[];
  /** Labels of the actions that ended in it. */
  readonly actions: readonly string[];
}

export interface TimelineTable {
  /** From the bottom of the stack to its top; those that hold nothing in the whole window are left out. */
  readonly consumers: readonly string[];
  readonly rows: readonly TimelineTableRow[];
}

/** The window in `count` rows of equal length. */
export function tableOf(timeline: Timeline, window: TimeWindow, count: number): TimelineTable {
  const binSeconds = spanSeconds(window) / count;
  const bins = binRows(timeline.samples, { startSeconds: window.startSeconds, binSeconds, count });
  const used = binSeries(timeline.samples, bins, SERIES.used);
  const columns = bandsOf(timeline.samples)
    .map((band) => ({ consumer: band.consumer, max: binSeries(timeline.samples, bins, band.committed).max }))
    .filter((column) => column.max.some((value) => value > 0));
  const rows = Array.from({ length: count }, (_, bin): TimelineTableRow => {
    const startSeconds = window.startSeconds + bin * binSeconds;
    const endSeconds = startSeconds + binSeconds;
    const maxBytes = used.max[bin] ?? Number.NaN;
    return {
      startSeconds,
      endSeconds,
      used: Number.isNaN(maxBytes) ? undefined : { maxBytes, minBytes: used.min[bin] ?? maxBytes },
      committedBytes: columns.map((column) => column.max[bin] ?? 0),
      actions: timeline.actions
        .filter((action) => action.timeSeconds >= startSeconds && action.timeSeconds < endSeconds)
        .map((action) => action.label),
    };
  });
  return { consumers: columns.map((column) => column.consumer), rows };
}

/** The table as CSV (RFC 4180): Unix seconds and bytes, header first. */
export function tableToCsv(table: TimelineTable): string {
  const header = ["start_seconds", "end_seconds", "used_max_bytes", "used_min_bytes"];
  const lines = table.rows.map((row) => [
    row.startSeconds,
    row.endSeconds,
    row.used?.maxBytes ?? "",
    row.used?.minBytes ?? "",
    ...row.committedBytes.map((bytes) => (row.used === undefined ? "" : bytes)),
    row.actions.join("; "),
  ]);
  const names = table.consumers.map((consumer) => `${consumer}_max_bytes`);
  return [[...header, ...names, "actions"], ...lines].map((line) => `${line.map(csvCell).join(",")}\r\n`).join("");
}

function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
