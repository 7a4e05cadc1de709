/** Pixel columns lose nothing that matters: no peak, no dip, no last value, no gap. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binEdge, binRows, binSeries, gridOver, highestRows } from "../../../core/timeline/bins.ts";
import { SERIES } from "../../../core/timeline/store.ts";
import { arbitraryRows, row, storeOf } from "./samples.ts";

const shown = (values: Float64Array): number[] => Array.from(values).filter((value) => !Number.isNaN(value));

describe("bins", () => {
  it("keep the highest and lowest value of the window at any width", () => {
    fc.assert(
      fc.property(arbitraryRows, fc.integer({ min: 1, max: 400 }), (rows, columns) => {
        const store = storeOf(rows);
        const endSeconds = (store.lastSeconds ?? 0) + 0.001;
        const grid = gridOver({ startSeconds: store.firstSeconds ?? 0, endSeconds }, columns);
        const bins = binRows(store, grid);
        const used = rows.map((sample) => sample.used);
        const { min, max } = binSeries(store, bins, SERIES.used);
        expect(Math.max(...shown(max))).toBe(Math.max(...used));
        expect(Math.min(...shown(min))).toBe(Math.min(...used));
        const heights = Array.from(highestRows(store, bins)).map((index) => store.valueAt(SERIES.stack, index));
        const all = rows.map((_, index) => store.valueAt(SERIES.stack, index));
        expect(Math.max(...heights)).toBe(Math.max(...all));
      }),
      { numRuns: 100 },
    );
  });

  it("put every row into exactly one bin, in its time", () => {
    fc.assert(
      fc.property(arbitraryRows, fc.integer({ min: 1, max: 300 }), (rows, columns) => {
        const store = storeOf(rows);
        const endSeconds = (store.lastSeconds ?? 0) + 0.001;
        const grid = gridOver({ startSeconds: store.firstSeconds ?? 0, endSeconds }, columns);
        const { from, to } = binRows(store, grid);
        const seen = new Map<number, number>();
        for (let bin = 0; bin < grid.count; bin++) {
          for (let index = from[bin] ?? 0; index < (to[bin] ?? 0); index++) {
            const time = store.timeAt(index);
            expect(time).toBeLessThan(binEdge(grid, bin + 1));
            if (time >= binEdge(grid, bin)) seen.set(index, (seen.get(index) ?? 0) + 1);
          }
        }
        expect([...seen.values()].every((times) => times === 1)).toBe(true);
        expect(seen.size).toBe(rows.length);
      }),
      { numRuns: 50 },
    );
  });

  it("hold a value between samples, show nothing in a gap, and hold the newest only while it is live", () => {
    const store = storeOf([row(0, 10), row(0.5, 20), row(3, 30)]);
    const grid = { startSeconds: -0.5, binSeconds: 0.25, count: 18 };
    const { last } = binSeries(store, binRows(store, grid), SERIES.used);
    expect(shown(last.slice(0, 2))).toEqual([]);
    expect(Array.from(last.slice(2, 5))).toEqual([10, 10, 20]);
    expect(shown(last.slice(5, 14))).toEqual([]);
    expect(Array.from(last.slice(14, 15))).toEqual([30]);
    expect(shown(last.slice(15))).toEqual([]);
    const live = binSeries(store, binRows(store, grid, 3.5), SERIES.used).last;
    expect(Array.from(live.slice(14, 16))).toEqual([30, 30]);
    expect(shown(live.slice(16))).toEqual([]);
  });

  it("lie on one grid of time, so that panning changes no bin that stays visible", () => {
    const span = 60;
    const at = (startSeconds: number) => gridOver({ startSeconds, endSeconds: startSeconds + span }, 600);
    const offset = (at(1000.123).startSeconds - at(1007.456).startSeconds) / at(1000.123).binSeconds;
    expect(Math.abs(offset - Math.round(offset))).toBeLessThan(1e-6);
  });
});
