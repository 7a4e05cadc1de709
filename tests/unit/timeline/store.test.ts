/** What goes into a timeline comes out, sums to what the device says, and is never silently forgotten. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyExtremes } from "../../../core/timeline/column.ts";
import { bandsOf, stackAt } from "../../../core/timeline/stack.ts";
import { SERIES, TimelineStore } from "../../../core/timeline/store.ts";
import { arbitraryRows, row, storeOf } from "./samples.ts";

describe("TimelineStore", () => {
  it("stacks to exactly what the device uses, or to what the consumers claim when that is more", () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        const store = storeOf(rows);
        const bands = bandsOf(store);
        const tops = new Float64Array(bands.length);
        rows.forEach((sample, index) => {
          stackAt(store, bands, index, tops);
          const claimed = Object.values(sample.committed).reduce((sum, bytes) => sum + bytes, sample.pool);
          expect(tops.at(-1)).toBe(Math.max(sample.used, claimed));
          expect(store.valueAt(SERIES.stack, index)).toBe(tops.at(-1));
        });
      }),
      { numRuns: 50 },
    );
  });

  it("explains what is left by the context first, then calls it unaccounted", () => {
    const store = storeOf([row(1, 115, { "engine.weights": 100 }), row(2, 105, { "engine.weights": 100 })]);
    expect([store.valueAt(SERIES.context, 0), store.valueAt(SERIES.unaccounted, 0)]).toEqual([10, 5]);
    expect([store.valueAt(SERIES.context, 1), store.valueAt(SERIES.unaccounted, 1)]).toEqual([5, 0]);
  });

  it("finds the same extremes as looking at every row", () => {
    fc.assert(
      fc.property(arbitraryRows, fc.nat(700), fc.nat(700), (rows, a, b) => {
        const store = storeOf(rows);
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const found = emptyExtremes();
        store.extremes(SERIES.used, from, to, found);
        const used = rows.slice(from, to).map((sample) => sample.used);
        expect(found.min).toBe(Math.min(...used));
        expect(found.max).toBe(Math.max(...used));
        if (used.length > 0) expect(found.maxRow).toBe(from + used.indexOf(Math.max(...used)));
      }),
      { numRuns: 100 },
    );
  });

  it("finds them over ranges of thousands of rows, across chunks", () => {
    const used = Array.from({ length: 20_000 }, (_, i) => (i * 7919 + Math.floor(i / 97) * 104_729) % 1_000_003);
    const store = new TimelineStore();
    const values = used.flatMap((bytes, i) => [i / 100, bytes, 2_000_000, 0, 0, 0]);
    store.append({ consumers: [], rows: used.length, samples: values, dropped: 0 });
    fc.assert(
      fc.property(fc.nat(used.length - 1), fc.nat(used.length), (from, length) => {
        const to = Math.min(used.length, from + length + 1);
        const found = emptyExtremes();
        store.extremes(SERIES.used, from, to, found);
        const range = used.slice(from, to);
        expect([found.min, found.max]).toEqual([Math.min(...range), Math.max(...range)]);
        expect(found.maxRow).toBe(from + range.indexOf(found.max));
      }),
    );
  });

  it("has nothing for a consumer before it appears and after it goes", () => {
    const store = storeOf([row(1, 50), row(2, 50, { activations: 30 }), row(3, 50), row(4, 50, { activations: 20 })]);
    const series = store.consumerSeries("activations");
    expect(series).toBeDefined();
    expect([0, 1, 2, 3].map((index) => store.valueAt(series?.committed ?? -1, index))).toEqual([0, 30, 0, 20]);
    expect(store.consumerSeries("logits")).toBeUndefined();
  });

  it("keeps at least its limit, drops the oldest rows, and counts them", () => {
    const store = new TimelineStore({ limitRows: 10_000 });
    const rows = 30_000;
    const samples = Array.from({ length: rows }, (_, i) => [i / 100, i, 100_000, 0, 0, 0]).flat();
    store.append({ consumers: [], rows, samples, dropped: 3 });
    expect(store.rows).toBeGreaterThanOrEqual(10_000);
    expect(store.rows).toBeLessThan(20_000);
    expect(store.droppedRows).toBe(rows - store.rows);
    expect(store.lostSamples).toBe(3);
    expect(store.originSeconds).toBe(0);
    expect(store.valueAt(SERIES.used, store.firstRow)).toBe(store.firstRow);
    expect(store.valueAt(SERIES.used, rows - 1)).toBe(rows - 1);
    const found = emptyExtremes();
    store.extremes(SERIES.used, 0, rows, found);
    expect([found.min, found.max, found.maxRow]).toEqual([store.firstRow, rows - 1, rows - 1]);
  });

  it("does not make up values while sampling was off", () => {
    const store = storeOf([row(1, 10), row(1.1, 20), row(9, 30), row(9.1, 40)]);
    expect(store.rowHolding(1.05)).toBe(0);
    expect(store.rowHolding(5)).toBeUndefined();
    expect(store.rowHolding(9)).toBe(2);
    expect(store.rowHolding(0.9)).toBeUndefined();
    expect(store.rowHolding(9.2)).toBeUndefined();
    const planned = storeOf([row(1, 10), row(9, 30)], { gapSeconds: Number.POSITIVE_INFINITY });
    expect(planned.rowHolding(5)).toBe(0);
  });

  it("stays in order when the clock is set back", () => {
    const store = storeOf([row(5, 1), row(3, 2), row(6, 3)]);
    expect([0, 1, 2].map((index) => store.timeAt(index))).toEqual([5, 5, 6]);
  });

  it("refuses a batch that is not what it says", () => {
    const store = new TimelineStore();
    expect(() => store.append({ consumers: ["logits"], rows: 1, samples: [1, 2, 3], dropped: 0 })).toThrow(
      /9 numbers, not 3/,
    );
    expect(store.rows).toBe(0);
  });
});
