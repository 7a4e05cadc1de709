/** Timelines small enough to check by hand or by brute force, and arbitrary ones for properties. */
import fc from "fast-check";
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { TimelineStore, type TimelineStoreOptions } from "../../../core/timeline/store.ts";

export interface Row {
  readonly timeSeconds: number;
  readonly used: number;
  readonly total: number;
  readonly context: number;
  readonly pool: number;
  /** Committed bytes per consumer; a tenth less is in use, twice as much reserved. */
  readonly committed: Readonly<Record<string, number>>;
}

export function row(timeSeconds: number, used: number, committed: Row["committed"] = {}): Row {
  return { timeSeconds, used, total: 1000, context: 10, pool: 0, committed };
}

/** One batch per row, so that consumers may come and go. */
export function storeOf(rows: readonly Row[], options?: TimelineStoreOptions): TimelineStore {
  const store = new TimelineStore(options);
  for (const { timeSeconds, used, total, context, pool, committed } of rows) {
    const cells = Object.values(committed).flatMap((bytes) => [2 * bytes, bytes, Math.floor(0.9 * bytes)]);
    store.append({
      consumers: Object.keys(committed),
      rows: 1,
      samples: [timeSeconds, used, total, context, 0, pool, ...cells],
      dropped: 0,
    });
  }
  return store;
}

const bytes = fc.integer({ min: 0, max: 2 ** 40 });

/** Rows 10 to 60 ms apart, now and then with a gap; values change rarely or always. */
export const arbitraryRows: fc.Arbitrary<readonly Row[]> = fc
  .array(
    fc.record({
      waitSeconds: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 10, max: 60 }).map((ms) => ms / 1000) },
        { weight: 1, arbitrary: fc.constant(5) },
      ),
      used: bytes,
      pool: fc.oneof(fc.constant(0), bytes),
      context: fc.constant(2 ** 29),
      weights: fc.constant(2 ** 34),
      kv: fc.option(bytes, { nil: undefined }),
    }),
    { minLength: 1, maxLength: 700 },
  )
  .map((steps) => {
    let timeSeconds = 1_700_000_000;
    return steps.map(({ waitSeconds, used, pool, context, weights, kv }) => {
      timeSeconds += waitSeconds;
      const committed = { "engine.weights": weights, ...(kv !== undefined && { "engine.kv_cache": kv }) };
      return { timeSeconds, used, total: 2 ** 41, context, pool, committed };
    });
  });

export function action(id: number, timeSeconds: number, change: Partial<ActionRecord> = {}): ActionRecord {
  return { id, timeSeconds, kind: "release", label: `action ${id}`, milliseconds: 5, ...change };
}
