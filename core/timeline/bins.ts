/**
 * Rows to pixel columns. A column may stand for thousands of rows; it keeps the minimum, the maximum and the last value
 * of every series, and the row at which the stack was highest. The stack is drawn from that one row: what a column
 * shows was true at one moment, it sums, and no peak is lost. Bins lie on a fixed grid of absolute time, so that
 * panning moves the picture instead of making it shimmer.
 */
import { emptyExtremes } from "./column.ts";
import { SERIES, type Series, type TimelineStore } from "./store.ts";
import { spanSeconds, type TimeWindow } from "./time-scale.ts";

/** `count` bins of `binSeconds` from `startSeconds`. */
export interface BinGrid {
  readonly startSeconds: number;
  readonly binSeconds: number;
  readonly count: number;
}

/**
 * The grid whose bins cover a window of `columns` pixel columns. Its edges are multiples of the bin's length, so it may
 * begin up to one bin before the window and end up to one after it.
 */
export function gridOver(window: TimeWindow, columns: number): BinGrid {
  const binSeconds = spanSeconds(window) / Math.max(1, columns);
  let first = Math.floor(window.startSeconds / binSeconds);
  let end = Math.ceil(window.endSeconds / binSeconds);
  // Unix times leave a quarter of a microsecond: in a window of a millisecond the products round past its edges.
  if (first * binSeconds > window.startSeconds) first--;
  if (first * binSeconds + (end - first) * binSeconds < window.endSeconds) end++;
  return { startSeconds: first * binSeconds, binSeconds, count: Math.max(1, end - first) };
}

/**
 * Where bin `index` begins and the one before it ends. Computed one way everywhere, so that rounding opens no gap between
 * neighbours.
 */
export function binEdge(grid: BinGrid, index: number): number {
  return grid.startSeconds + index * grid.binSeconds;
}

/** The rows of each bin: [from, to). A bin without rows of its own has the row that still holds, or none in a gap. */
export interface BinRows {
  readonly grid: BinGrid;
  readonly from: Int32Array;
  /** Equal to `from` where the bin shows nothing: before the first sample, after the last, sampling off. */
  readonly to: Int32Array;
}

/**
 * @param holdUntilSeconds the newest row is taken to hold until then (the moving edge of a live timeline, which leads
 * the samples by a fraction of a second); a planned or recorded timeline ends at its last row.
 */
export function binRows(store: TimelineStore, grid: BinGrid, holdUntilSeconds = Number.NEGATIVE_INFINITY): BinRows {
  const from = new Int32Array(grid.count);
  const to = new Int32Array(grid.count);
  let next = store.rowAtOrAfter(grid.startSeconds);
  for (let bin = 0; bin < grid.count; bin++) {
    const start = next;
    const endSeconds = binEdge(grid, bin + 1);
    if (next < store.endRow && store.timeAt(next) < endSeconds) next = store.rowAtOrAfter(endSeconds);
    from[bin] = start;
    to[bin] = next;
    if (start === next) {
      const middle = endSeconds - grid.binSeconds / 2;
      const isLive = start === store.endRow && store.rows > 0 && middle <= holdUntilSeconds;
      const held = isLive ? start - 1 : store.rowHolding(middle);
      if (held !== undefined) {
        from[bin] = held;
        to[bin] = held + 1;
      }
    }
  }
  return { grid, from, to };
}

/** Per bin, the row at which a series (the stack) was highest; -1 where the bin shows nothing. */
export function highestRows(store: TimelineStore, bins: BinRows, series: Series = SERIES.stack): Int32Array {
  const rows = new Int32Array(bins.grid.count);
  const found = emptyExtremes();
  for (let bin = 0; bin < rows.length; bin++) {
    Object.assign(found, EMPTY);
    store.extremes(series, bins.from[bin] ?? 0, bins.to[bin] ?? 0, found);
    rows[bin] = found.maxRow;
  }
  return rows;
}

/** Minimum, maximum and last value per bin; NaN where the bin shows nothing. */
export interface SeriesBins {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly last: Float64Array;
}

export function binSeries(store: TimelineStore, bins: BinRows, series: Series): SeriesBins {
  const count = bins.grid.count;
  const result = { min: new Float64Array(count), max: new Float64Array(count), last: new Float64Array(count) };
  const found = emptyExtremes();
  for (let bin = 0; bin < count; bin++) {
    const from = bins.from[bin] ?? 0;
    const to = bins.to[bin] ?? 0;
    Object.assign(found, EMPTY);
    store.extremes(series, from, to, found);
    const isEmpty = from === to;
    result.min[bin] = isEmpty ? Number.NaN : found.min;
    result.max[bin] = isEmpty ? Number.NaN : found.max;
    result.last[bin] = isEmpty ? Number.NaN : store.valueAt(series, to - 1);
  }
  return result;
}

const EMPTY = emptyExtremes();
