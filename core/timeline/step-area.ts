/**
 * Outlines of stacked step areas over pixel columns. Equal neighbours are merged, so a quiet hour costs a handful of path
 * points. It only makes a path: the window gives it a canvas, a report gives it the text of an SVG path.
 */

import type { Band } from "./stack.ts";
import type { TimelineStore } from "./store.ts";

/** What a path is told; a canvas understands it as it is. */
export interface PathSink {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  closePath(): void;
}

/** Differences below this are not drawn as steps: nobody could see them. */
const SAME_PX = 0.15;

/** Pixel columns: where each begins, and the row that it shows. */
export class Columns {
  readonly count: number;
  private readonly rows: Int32Array;
  private readonly firstPx: number;
  private readonly stepPx: number;

  constructor(rows: Int32Array, firstPx: number, stepPx: number) {
    this.count = rows.length;
    this.rows = rows;
    this.firstPx = firstPx;
    this.stepPx = stepPx;
  }

  x(column: number): number {
    return this.firstPx + column * this.stepPx;
  }

  rowAt(column: number): number {
    return this.rows[column] ?? -1;
  }

  /** Runs of columns that show something (or nothing): [from, to). */
  *runs(shown: boolean): Generator<readonly [number, number]> {
    let from = -1;
    for (let column = 0; column <= this.count; column++) {
      const matches = column < this.count && this.rowAt(column) >= 0 === shown;
      if (matches && from < 0) from = column;
      if (!matches && from >= 0) {
        yield [from, column];
        from = -1;
      }
    }
  }
}

/** Edges of one band in pixels from the top, per column. */
export interface BandEdges {
  /** Of what is committed. */
  readonly upper: Float64Array;
  /** Of what is in use. */
  readonly inUse: Float64Array;
  readonly isEmpty: boolean;
  /** All that is committed is in use. */
  readonly isFull: boolean;
}

/** A band on top of the edge `lower`. */
export function bandEdges(
  samples: TimelineStore,
  columns: Columns,
  band: Band,
  lower: Float64Array,
  pxPerByte: number,
): BandEdges {
  const upper = lower.slice();
  const inUse = lower.slice();
  let isEmpty = true;
  let isFull = true;
  for (let column = 0; column < columns.count; column++) {
    const row = columns.rowAt(column);
    if (row < 0) continue;
    const committed = samples.valueAt(band.committed, row);
    if (committed === 0) continue;
    isEmpty = false;
    const used = band.parts === undefined ? committed : Math.min(committed, samples.valueAt(band.parts.used, row));
    if (used < committed) isFull = false;
    const floor = lower[column] ?? 0;
    upper[column] = floor - committed * pxPerByte;
    inUse[column] = floor - used * pxPerByte;
  }
  return { upper, inUse, isEmpty, isFull };
}

/** The area between two edges, in steps. */
export function traceArea(path: PathSink, columns: Columns, lower: Float64Array, upper: Float64Array): void {
  for (const [from, to] of columns.runs(true)) {
    let y = upper[from] ?? 0;
    path.moveTo(columns.x(from), lower[from] ?? 0);
    path.lineTo(columns.x(from), y);
    for (let column = from + 1; column < to; column++) {
      const next = upper[column] ?? 0;
      if (Math.abs(next - y) < SAME_PX) continue;
      path.lineTo(columns.x(column), y);
      path.lineTo(columns.x(column), next);
      y = next;
    }
    path.lineTo(columns.x(to), y);
    y = lower[to - 1] ?? 0;
    path.lineTo(columns.x(to), y);
    for (let column = to - 2; column >= from; column--) {
      const next = lower[column] ?? 0;
      if (Math.abs(next - y) < SAME_PX) continue;
      path.lineTo(columns.x(column + 1), y);
      path.lineTo(columns.x(column + 1), next);
      y = next;
    }
    path.closePath();
  }
}

/** The upper edge, where the band has any height. */
export function traceEdge(path: PathSink, columns: Columns, lower: Float64Array, upper: Float64Array): void {
  for (const [from, to] of columns.runs(true)) {
    let y = Number.NaN;
    for (let column = from; column < to; column++) {
      const next = upper[column] ?? 0;
      const hasHeight = (lower[column] ?? 0) - next > SAME_PX;
      if (hasHeight && Math.abs(next - y) < SAME_PX) continue;
      if (!Number.isNaN(y)) path.lineTo(columns.x(column), y);
      if (!hasHeight) y = Number.NaN;
      else {
        if (Number.isNaN(y)) path.moveTo(columns.x(column), next);
        else path.lineTo(columns.x(column), next);
        y = next;
      }
    }
    if (!Number.isNaN(y)) path.lineTo(columns.x(to), y);
  }
}

/** One edge, in steps. */
export function traceLine(path: PathSink, columns: Columns, ys: Float64Array): void {
  for (const [from, to] of columns.runs(true)) {
    let y = ys[from] ?? 0;
    path.moveTo(columns.x(from), y);
    for (let column = from + 1; column < to; column++) {
      const next = ys[column] ?? 0;
      if (Math.abs(next - y) < SAME_PX) continue;
      path.lineTo(columns.x(column), y);
      path.lineTo(columns.x(column), next);
      y = next;
    }
    path.lineTo(columns.x(to), y);
  }
}
