/**
 * Draws columns of the dense layer: stacked step areas, one device pixel per column. Each column shows the stack at the moment it
 * was highest (core/timeline/bins.ts); the device's own figure lies over it as a line at each column's maximum and a veil
 * down to its minimum, so short dips show too. Equal neighbours are merged, so a quiet hour costs a handful of path points.
 */
import { type BinGrid, binRows, binSeries, highestRows } from "../../../core/timeline/bins.ts";
import { type Band, bandsOf } from "../../../core/timeline/stack.ts";
import { SERIES, type TimelineStore } from "../../../core/timeline/store.ts";
import type { CanvasTheme } from "./theme.ts";

export interface ColumnsInput {
  readonly samples: TimelineStore;
  /** One bin per pixel column. */
  readonly grid: BinGrid;
  /** Left edge of the first column, and width of each. */
  readonly x: number;
  readonly columnPx: number;
  readonly height: number;
  readonly holdUntilSeconds: number | undefined;
  readonly topBytes: number;
  readonly highlighted: string | undefined;
}

/** Differences below this are not drawn as steps: nobody could see them. */
const SAME_PX = 0.15;
const FADED = 0.22;
const VEIL = 0.35;
const USED_LINE = 0.8;

/** Draws a run of columns between 0 and `height`; leaves the context's styles changed. */
export function drawColumns(context: CanvasRenderingContext2D, input: ColumnsInput, theme: CanvasTheme): void {
  const { samples, grid, topBytes, height } = input;
  const bins = binRows(samples, grid, input.holdUntilSeconds);
  const columns = new Columns(highestRows(samples, bins), input.x, input.columnPx);
  const pxPerByte = height / topBytes;
  drawGaps(context, columns, input, theme);
  const lower = new Float64Array(grid.count).fill(height);
  for (const band of bandsOf(samples)) {
    const isFaded = input.highlighted !== undefined && input.highlighted !== band.consumer;
    context.globalAlpha = isFaded ? FADED : 1;
    drawBand(context, columns, lower, band, samples, pxPerByte, theme);
  }
  context.globalAlpha = 1;
  const used = binSeries(samples, bins, SERIES.used);
  const toPx = (bytes: Float64Array): Float64Array => bytes.map((value) => height - value * pxPerByte);
  const usedTop = toPx(used.max);
  // Dips are a veil and not a line: a minute of oscillation would otherwise be a black block.
  traceArea(context, columns, usedTop, toPx(used.min));
  context.globalAlpha = VEIL;
  context.fillStyle = theme.surface;
  context.fill();
  context.globalAlpha = 1;
  traceLine(context, columns, usedTop);
  context.globalAlpha = USED_LINE;
  context.strokeStyle = theme.text;
  context.lineWidth = 1;
  context.stroke();
}

/** Pixel columns: where each begins, and the row that it shows. */
class Columns {
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

/** Fills one band on top of `lower` and raises `lower` to its upper edge. */
function drawBand(
  context: CanvasRenderingContext2D,
  columns: Columns,
  lower: Float64Array,
  band: Band,
  samples: TimelineStore,
  pxPerByte: number,
  theme: CanvasTheme,
): void {
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
  if (isEmpty) return;
  const colours = theme.band(band.consumer);
  if (!isFull) {
    traceArea(context, columns, lower, upper);
    context.fillStyle = colours.tint;
    context.fill();
  }
  traceArea(context, columns, lower, inUse);
  context.fillStyle = colours.fill;
  context.fill();
  traceEdge(context, columns, lower, upper);
  context.lineWidth = 1;
  context.strokeStyle = isFull ? theme.surface : colours.colour;
  context.stroke();
  lower.set(upper);
}

function traceArea(
  context: CanvasRenderingContext2D,
  columns: Columns,
  lower: Float64Array,
  upper: Float64Array,
): void {
  context.beginPath();
  for (const [from, to] of columns.runs(true)) {
    let y = upper[from] ?? 0;
    context.moveTo(columns.x(from), lower[from] ?? 0);
    context.lineTo(columns.x(from), y);
    for (let column = from + 1; column < to; column++) {
      const next = upper[column] ?? 0;
      if (Math.abs(next - y) < SAME_PX) continue;
      context.lineTo(columns.x(column), y);
      context.lineTo(columns.x(column), next);
      y = next;
    }
    context.lineTo(columns.x(to), y);
    y = lower[to - 1] ?? 0;
    context.lineTo(columns.x(to), y);
    for (let column = to - 2; column >= from; column--) {
      const next = lower[column] ?? 0;
      if (Math.abs(next - y) < SAME_PX) continue;
      context.lineTo(columns.x(column + 1), y);
      context.lineTo(columns.x(column + 1), next);
      y = next;
    }
    context.closePath();
  }
}

/** The upper edge, where the band has any height. */
function traceEdge(
  context: CanvasRenderingContext2D,
  columns: Columns,
  lower: Float64Array,
  upper: Float64Array,
): void {
  context.beginPath();
  for (const [from, to] of columns.runs(true)) {
    let y = Number.NaN;
    for (let column = from; column < to; column++) {
      const next = upper[column] ?? 0;
      const hasHeight = (lower[column] ?? 0) - next > SAME_PX;
      if (hasHeight && Math.abs(next - y) < SAME_PX) continue;
      if (!Number.isNaN(y)) context.lineTo(columns.x(column), y);
      if (!hasHeight) y = Number.NaN;
      else {
        if (Number.isNaN(y)) context.moveTo(columns.x(column), next);
        else context.lineTo(columns.x(column), next);
        y = next;
      }
    }
    if (!Number.isNaN(y)) context.lineTo(columns.x(to), y);
  }
}

function traceLine(context: CanvasRenderingContext2D, columns: Columns, ys: Float64Array): void {
  context.beginPath();
  for (const [from, to] of columns.runs(true)) {
    let y = ys[from] ?? 0;
    context.moveTo(columns.x(from), y);
    for (let column = from + 1; column < to; column++) {
      const next = ys[column] ?? 0;
      if (Math.abs(next - y) < SAME_PX) continue;
      context.lineTo(columns.x(column), y);
      context.lineTo(columns.x(column), next);
      y = next;
    }
    context.lineTo(columns.x(to), y);
  }
}

/** Hatches stretches inside the recording where sampling was off. */
function drawGaps(
  context: CanvasRenderingContext2D,
  columns: Columns,
  { samples, grid, height }: ColumnsInput,
  theme: CanvasTheme,
): void {
  const { firstSeconds, lastSeconds } = samples;
  if (firstSeconds === undefined || lastSeconds === undefined) return;
  const endSeconds = grid.startSeconds + grid.count * grid.binSeconds;
  context.fillStyle = theme.gap;
  for (const [from, to] of columns.runs(false)) {
    if (from === 0 && firstSeconds >= grid.startSeconds) continue;
    if (to === columns.count && lastSeconds <= endSeconds) continue;
    context.fillRect(columns.x(from), 0, columns.x(to) - columns.x(from), height);
  }
}
