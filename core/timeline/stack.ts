/**
 * Which bands a timeline has and in which order they lie on each other. What hardly moves is at the bottom, what comes
 * and goes is above it, and what nobody accounts for is on top, where it can be seen against the device's own figure.
 */
import type { Consumer } from "../consumers.ts";
import { SERIES, type Series, type TimelineStore } from "./store.ts";

/**
 * How much of the stack is drawn, and how high: everything up to the device's total (`capacity`), everything that a window
 * holds (`data`), or only what regions and the pool hold, up to what is set for them (`regions`).
 */
export type StackHeight = "capacity" | "data" | "regions";

/** The series that is the height of what is drawn. */
export function heightSeries(height: StackHeight): Series {
  return height === "regions" ? SERIES.regions : SERIES.stack;
}

/** The capacity line at a row: without the context, where that is not drawn. */
export function capacityAt(store: TimelineStore, row: number, height: StackHeight): number {
  const totalBytes = store.valueAt(SERIES.total, row);
  return height === "regions" ? totalBytes - store.valueAt(SERIES.measuredContext, row) : totalBytes;
}

/** From the bottom to the top; consumers that are not named here go between `workspace` and `pool`. */
export const STACK_ORDER = [
  "context",
  "engine.weights",
  "reference.weights",
  "reward.weights",
  "policy.weights",
  "policy.optimizer",
  "policy.gradients",
  "critic.weights",
  "critic.optimizer",
  "critic.gradients",
  "engine.kv_cache",
  "activations",
  "logits",
  "workspace",
  "pool",
  "unaccounted",
] as const satisfies readonly Consumer[];

const FIRST_ON_TOP = STACK_ORDER.indexOf("pool");

/** One layer of the stack. */
export interface Band {
  readonly consumer: string;
  /** Its height. */
  readonly committed: Series;
  /** How much of it is in use, and how much address space it reserves; pool, context and unaccounted have neither. */
  readonly parts: { readonly used: Series; readonly reserved: Series } | undefined;
}

const DERIVED_BANDS: readonly Band[] = [
  { consumer: "context", committed: SERIES.context, parts: undefined },
  { consumer: "pool", committed: SERIES.pool, parts: undefined },
  { consumer: "unaccounted", committed: SERIES.unaccounted, parts: undefined },
];

/** The bands of a timeline from the bottom to the top. */
export function bandsOf(store: TimelineStore, height: StackHeight = "capacity"): readonly Band[] {
  const consumers: Band[] = store.consumers.flatMap((consumer) => {
    const series = store.consumerSeries(consumer);
    return series === undefined
      ? []
      : [{ consumer, committed: series.committed, parts: { used: series.used, reserved: series.reserved } }];
  });
  const derived = DERIVED_BANDS.filter(({ consumer }) => height !== "regions" || consumer === "pool");
  return [...derived, ...consumers].sort((a, b) => rank(a.consumer) - rank(b.consumer));
}

function rank(consumer: string): number {
  const order: readonly string[] = STACK_ORDER;
  const known = order.indexOf(consumer);
  return known >= 0 ? known : FIRST_ON_TOP - 0.5;
}

/** Writes the top of each band at a row into `tops`; the last one is the height of the stack. */
export function stackAt(store: TimelineStore, bands: readonly Band[], row: number, tops: Float64Array): void {
  let top = 0;
  bands.forEach((band, index) => {
    top += store.valueAt(band.committed, row);
    tops[index] = top;
  });
}
