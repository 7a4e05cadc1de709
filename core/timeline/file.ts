/**
 * A timeline as a file: JSON with a version, column by column, so that a recording can be kept, sent to a colleague and
 * read by a script in three lines. A column that never changes is written as one number.
 */
import { z } from "zod";
import { isOfRegions } from "../consumers.ts";
import { actionRecordSchema } from "../contract/timeline.ts";
import { type FieldPath, refusal, type Source } from "../input/fault.ts";
import { parseWith } from "../input/schema-fault.ts";
import { SERIES, type Series, TimelineStore } from "./store.ts";
import type { Timeline } from "./timeline.ts";

const columnSchema = z.union([z.number(), z.array(z.number())]);

export const timelineFileSchema = z.object({
  format: z.literal("tideline.timeline"),
  version: z.literal(1),
  /** Unix seconds, one per row. */
  timeSeconds: z.array(z.number()),
  /** A longer silence between rows is a gap; absent: rows hold until the next one. */
  gapSeconds: z.number().positive().optional(),
  /** Bytes on the device as a whole. */
  device: z.object({
    used: columnSchema,
    total: columnSchema,
    context: columnSchema,
    hostBackup: columnSchema,
    pool: columnSchema,
  }),
  consumers: z.array(
    z.object({ consumer: z.string().min(1), reserved: columnSchema, committed: columnSchema, used: columnSchema }),
  ),
  lostSamples: z.number().int().nonnegative(),
  actions: z.array(actionRecordSchema),
  phases: z.array(z.object({ name: z.string(), startSeconds: z.number(), endSeconds: z.number().optional() })),
});
export type TimelineFile = z.infer<typeof timelineFileSchema>;
type FileColumn = z.infer<typeof columnSchema>;

/** The whole timeline as data for JSON. */
export function timelineToFile(timeline: Timeline): TimelineFile {
  const { samples } = timeline;
  const rows = Array.from({ length: samples.rows }, (_, index) => samples.firstRow + index);
  const column = (series: Series): FileColumn => {
    const values = rows.map((row) => samples.valueAt(series, row));
    const first = values[0] ?? 0;
    return values.every((value) => value === first) ? first : values;
  };
  return {
    format: "tideline.timeline",
    version: 1,
    timeSeconds: rows.map((row) => samples.timeAt(row)),
    ...(Number.isFinite(samples.gapSeconds) && { gapSeconds: samples.gapSeconds }),
    device: {
      used: column(SERIES.used),
      total: column(SERIES.total),
      context: column(SERIES.measuredContext),
      hostBackup: column(SERIES.hostBackup),
      pool: column(SERIES.pool),
    },
    consumers: samples.consumers.flatMap((consumer) => {
      const series = samples.consumerSeries(consumer);
      if (series === undefined) return [];
      const { reserved, committed, used } = series;
      return [{ consumer, reserved: column(reserved), committed: column(committed), used: column(used) }];
    }),
    lostSamples: samples.lostSamples,
    actions: [...timeline.actions],
    phases: timeline.phases.map(({ name, startSeconds, endSeconds }) => ({
      name,
      startSeconds,
      ...(endSeconds !== undefined && { endSeconds }),
    })),
  };
}

/**
 * A timeline from parsed JSON.
 * @param name Names it in errors: a file, or "the recording".
 * @throws TidelineError `bad_argument` naming the field that is wrong, or the column whose length is.
 */
export function timelineFromFile(data: unknown, name: string): Timeline {
  const hint = "Open a recording that Tideline saved; this version reads format tideline.timeline, version 1.";
  const source: Source = { name, code: "bad_argument", hint };
  const file = parseWith(timelineFileSchema, data, (fault) => refusal(source, fault));
  const rows = file.timeSeconds.length;
  const places = placesOf(file);
  for (const [path, column] of places) {
    if (typeof column === "number" || column.length === rows) continue;
    throw refusal(source, { path, message: `has ${column.length} values: must have ${rows}, one for each row` });
  }
  const early = file.timeSeconds.findIndex((time, row) => time < (file.timeSeconds[row - 1] ?? time));
  if (early >= 0) {
    throw refusal(source, { path: ["timeSeconds", early], message: "lies before the row above: rows are in order" });
  }
  for (const [at, { consumer }] of file.consumers.entries()) {
    const isTwice = file.consumers.findIndex((other) => other.consumer === consumer) < at;
    if (!isTwice && isOfRegions(consumer)) continue;
    const message = `is ${consumer}, which is ${isTwice ? "there twice" : "a column of the device"}`;
    throw refusal(source, { path: ["consumers", at, "consumer"], message });
  }
  const columns = places.map(([, column]) => column);
  const values = new Float64Array(rows * columns.length);
  columns.forEach((column, position) => {
    for (let row = 0; row < rows; row++) {
      values[row * columns.length + position] = typeof column === "number" ? column : (column[row] ?? 0);
    }
  });
  const samples = new TimelineStore({
    limitRows: Math.max(rows, 1),
    gapSeconds: file.gapSeconds ?? Number.POSITIVE_INFINITY,
  });
  samples.append({
    consumers: file.consumers.map(({ consumer }) => consumer),
    rows,
    samples: values,
    dropped: file.lostSamples,
  });
  const phases = file.phases.map(({ name, startSeconds, endSeconds }) => ({ name, startSeconds, endSeconds }));
  return { samples, actions: file.actions, phases };
}

/** The columns as the store takes them, each with its place in the file. */
function placesOf({ timeSeconds, device, consumers }: TimelineFile): readonly (readonly [FieldPath, FileColumn])[] {
  const ofDevice = ["used", "total", "context", "hostBackup", "pool"] as const;
  const ofConsumer = ["reserved", "committed", "used"] as const;
  return [
    [["timeSeconds"], timeSeconds],
    ...ofDevice.map((name) => [["device", name], device[name]] as const),
    ...consumers.flatMap((consumer, at) =>
      ofConsumer.map((name) => [["consumers", at, name], consumer[name]] as const),
    ),
  ];
}
