/** What the figures beside the timeline say: totals, differences, the peak and its owner, the live edge. */
import { describe, expect, it } from "vitest";
import { byteAxis } from "../../../core/timeline/byte-axis.ts";
import { FollowClock } from "../../../core/timeline/follow-clock.ts";
import { peakIn } from "../../../core/timeline/peak.ts";
import { differenceBetween, latestReading, readingAt } from "../../../core/timeline/readout.ts";
import { action, row, storeOf } from "./samples.ts";

const samples = storeOf([
  row(1, 160, { "engine.weights": 100, "engine.kv_cache": 40 }),
  row(1.5, 420, { "engine.weights": 100, "engine.kv_cache": 300 }),
  row(2, 125, { "engine.weights": 100, "engine.kv_cache": 0 }),
]);
const actions = [action(1, 1.4, { label: "resume engine.kv_cache", kind: "resume" }), action(2, 1.9)];
const phases = [{ name: "rollout", startSeconds: 1, endSeconds: 1.8 }];
const timeline = { samples, actions, phases };

describe("reading", () => {
  it("gives total, free, every consumer, the phase and the actions around", () => {
    const reading = readingAt(timeline, 1.6);
    expect(reading).toMatchObject({ usedBytes: 420, totalBytes: 1000, freeBytes: 580, phase: { name: "rollout" } });
    expect(reading?.consumers.find(({ consumer }) => consumer === "engine.kv_cache")).toEqual({
      consumer: "engine.kv_cache",
      committedBytes: 300,
      usedBytes: 270,
      reservedBytes: 600,
    });
    expect(reading?.consumers.reduce((sum, { committedBytes }) => sum + committedBytes, 0)).toBe(420);
    expect([reading?.before?.id, reading?.after?.id]).toEqual([1, 2]);
    expect(readingAt(timeline, 2.5)).toBeUndefined();
    expect(latestReading(timeline)?.usedBytes).toBe(125);
  });

  it("says what changed between two cursors, in either direction", () => {
    const [a, b] = [readingAt(timeline, 1.2), readingAt(timeline, 1.7)];
    if (a === undefined || b === undefined) throw new Error("the timeline has samples there");
    const change = differenceBetween(a, b);
    expect(change.usedBytes).toBe(260);
    expect(change.seconds).toBeCloseTo(0.5);
    expect(change.consumers).toEqual([{ consumer: "engine.kv_cache", committedBytes: 260 }]);
    expect(differenceBetween(b, a).usedBytes).toBe(-260);
  });
});

describe("peak", () => {
  it("says when, how much, who held most, and what came before", () => {
    const peak = peakIn(timeline, { startSeconds: 0, endSeconds: 10 });
    expect(peak).toMatchObject({
      timeSeconds: 1.5,
      bytes: 420,
      reading: { before: { label: "resume engine.kv_cache" } },
    });
    expect(peak?.holders[0]).toEqual({ consumer: "engine.kv_cache", bytes: 300 });
  });

  it("of the regions alone counts neither the context nor what nobody accounts for", () => {
    const window = { startSeconds: 0, endSeconds: 10 };
    expect(peakIn(timeline, window, "regions")).toMatchObject({ timeSeconds: 1.5, bytes: 400 });
    expect(peakIn(timeline, window, "regions")?.holders.map(({ consumer }) => consumer)).toEqual([
      "engine.kv_cache",
      "engine.weights",
    ]);
    expect(readingAt(timeline, 1.6)).toMatchObject({ regionBytes: 400, regionCapacityBytes: 990 });
    // The axis reaches what regions may hold: the total without the context.
    expect(byteAxis(samples, window, "regions").topBytes).toBeCloseTo(990 * 1.08);
    expect(byteAxis(samples, window, "capacity").topBytes).toBeCloseTo(1000 * 1.08);
  });

  it("belongs to the window, including the value it begins with", () => {
    expect(peakIn(timeline, { startSeconds: 1.6, endSeconds: 10 })).toMatchObject({ timeSeconds: 1.6, bytes: 420 });
    expect(peakIn(timeline, { startSeconds: 5, endSeconds: 10 })).toBeUndefined();
  });
});

describe("the live edge", () => {
  it("glides over late and early batches and stops when samples do", () => {
    const clock = new FollowClock();
    expect(clock.edgeSeconds(0)).toBeUndefined();
    let previous = Number.NEGATIVE_INFINITY;
    for (let batch = 0; batch < 100; batch++) {
      const jitter = batch % 3 === 0 ? 0.02 : 0;
      clock.observe(1000 + batch * 0.1, batch * 0.1 + jitter);
      const edge = clock.edgeSeconds(batch * 0.1 + 0.03) ?? Number.NaN;
      expect(edge).toBeGreaterThan(previous);
      expect(Math.abs(edge - (1000 + batch * 0.1 + 0.03))).toBeLessThan(0.03);
      previous = edge;
    }
    expect(clock.edgeSeconds(60)).toBeLessThan(1012);
  });
});
