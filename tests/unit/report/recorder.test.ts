/** The timeline of a report: exact where items end, and sampled in between without being told twice or too late. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { runTimeline } from "../../../core/report/run-timeline.ts";
import { START } from "../../../core/schedule/cursor.ts";
import { bandsOf } from "../../../core/timeline/stack.ts";
import { SERIES, type TimelineStore } from "../../../core/timeline/store.ts";
import { MIB } from "../../../core/units.ts";
import { RunRecorder } from "../../../electron/report/recorder.ts";
import type { DeviceObservation, Receipt } from "../../../native/addon.d.ts";
import { CAPACITY_BYTES, reportedRun } from "./fixture.ts";

function device(kvBytes: number): DeviceObservation {
  const region = (consumer: string, committedBytes: number) =>
    ({
      consumer,
      tag: "weights",
      residency: "resident",
      contents: "defined",
      reservedBytes: committedBytes,
      committedBytes,
      usedBytes: committedBytes,
      address: "0x0",
    }) as const;
  return {
    name: "host",
    description: "",
    capacityBytes: CAPACITY_BYTES,
    chunkBytes: 1,
    committedBytes: kvBytes,
    heldBytes: 0,
    freeBytes: 0,
    contextBytes: 7,
    usedBytes: kvBytes + 7,
    totalBytes: CAPACITY_BYTES + 7,
    hostBackupBytes: 0,
    // Two regions of one consumer, and one that no schedule knows.
    regions: [region("engine.kv_cache", kvBytes / 2), region("engine.kv_cache", kvBytes / 2), region("stranger", 3)],
  };
}

function batch(rows: readonly (readonly [timeSeconds: number, kvBytes: number])[]) {
  const samples = rows.flatMap(([timeSeconds, bytes]) => [timeSeconds, bytes, 0, 0, 0, 0, bytes, bytes, bytes]);
  return { consumers: ["engine.kv_cache"], rows: rows.length, samples: Float64Array.from(samples), dropped: 0 };
}

function kvBytesOf(samples: TimelineStore): readonly number[] {
  const series = samples.consumerSeries("engine.kv_cache")?.committed ?? -1;
  return Array.from({ length: samples.rows }, (_, row) => samples.valueAt(series, row));
}

function phasesFrom(startSeconds: number) {
  const [record] = reportedRun(0).steps[0]?.phases ?? [];
  return record === undefined ? [] : [{ ...record, startSeconds, endSeconds: startSeconds + 10 }];
}

describe("the step that is shown", () => {
  it("has boundaries and samples in the order of time, the regions of a consumer as one", () => {
    const recorder = new RunRecorder();
    let kvBytes = 2;
    recorder.watch(() => [device(kvBytes)]);
    const start = Date.now() / 1000;
    recorder.listener.onCursor?.(START);
    recorder.listener.onSamples(batch([[start - 5, 1]]), "host");
    recorder.listener.onSamples(batch([[start + 5, 3]]), "host");
    kvBytes = 4;
    recorder.listener.onCursor?.({ ...START, index: 1 });
    const shown = recorder.shownStep(phasesFrom(start), []);
    expect(kvBytesOf(shown?.devices[0]?.timeline.samples as TimelineStore)).toEqual([1, 2, 3, 4]);
  });

  it("leaves out a sample that may be of before the boundary", () => {
    const boundary = 1000;
    // The recorder's clock stands at the boundary, however slowly this runs.
    const clock = vi.spyOn(Date, "now").mockReturnValue(1000 * boundary);
    onTestFinished(() => clock.mockRestore());
    const recorder = new RunRecorder();
    recorder.watch(() => [device(2)]);
    recorder.listener.onCursor?.(START);
    recorder.listener.onSamples(batch([[boundary + 0.0001, 9]]), "host");
    const shown = recorder.shownStep(phasesFrom(boundary), []);
    expect(kvBytesOf(shown?.devices[0]?.timeline.samples as TimelineStore)).not.toContain(9);
  });

  it("shows what a swap held only while it was done", () => {
    const recorder = new RunRecorder();
    recorder.watch(() => [device(2)]);
    const receipt: Receipt = {
      action: "swap",
      consumer: "engine.weights",
      method: "bucketed",
      bytesFreed: 5,
      bytesRetained: 0,
      bytesCommitted: 5,
      bytesCopied: 9,
      milliseconds: 1,
    };
    const startSeconds = Date.now() / 1000;
    const action = {
      step: 0,
      work: "update_weights",
      origin: "schedule",
      kind: "swap",
      label: "swap",
      consumer: "engine.weights",
      startSeconds,
      endSeconds: startSeconds + 0.25,
      receipt,
    } as const;
    recorder.listener.onAction?.(action);
    const shown = recorder.shownStep(phasesFrom(startSeconds), [action]);
    const samples = shown?.devices[0]?.timeline.samples as TimelineStore;
    const rows = [samples.firstRow, samples.firstRow + 1];
    expect(rows.map((row) => samples.valueAt(SERIES.regions, row))).toEqual([7, 2]);
    expect(shown?.actions[0]).toMatchObject({ label: "swap", kind: "swap", milliseconds: expect.closeTo(250, 3) });
  });
});

it("the whole run holds in every phase what that phase held at its peak", () => {
  const run = reportedRun(4 * MIB);
  const { timeline, window } = runTimeline(run, { name: "host", capacityBytes: CAPACITY_BYTES }) ?? {};
  const samples = timeline?.samples as TimelineStore;
  const phases = run.steps.flatMap((step) => step.phases);
  for (const { startSeconds, endSeconds, peakBytes, holders } of phases) {
    const row = samples.rowHolding((startSeconds + endSeconds) / 2) ?? -1;
    expect(samples.valueAt(SERIES.regions, row)).toBe(peakBytes);
    for (const { consumer, committed } of bandsOf(samples, "regions")) {
      expect(samples.valueAt(committed, row), consumer).toBe(holders[consumer as keyof typeof holders] ?? 0);
    }
  }
  expect(window).toEqual({ startSeconds: phases[0]?.startSeconds, endSeconds: phases.at(-1)?.endSeconds });
});
