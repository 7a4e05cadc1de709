/**
 * Draws the dense layer: stacked step areas, one device pixel per column. Each column shows the stack at the moment it
 * was highest (core/timeline/bins.ts); the device's own figure lies over it as a line at each column's maximum and a veil
 * down to its minimum, so short dips show too. Equal neighbours are merged, so a quiet hour costs a handful of path points.
 */
import { binRows, binSeries, gridOver, highestRows } from "../../../core/timeline/bins.ts";
import { type Band, bandsOf } from "../../../core/timeline/stack.ts";
import { SERIES, type TimelineStore } from "../../../core/timeline/store.ts";
import { spanSeconds, type TimeWindow, timeToPx } from "../../../core/timeline/time-scale.ts";
import type { Box } from "./geometry.ts";
import type { CanvasTheme } from "./theme.ts";

export interface DenseInput {
  readonly samples: TimelineStore;
  readonly window: TimeWindow;
  readonly holdUntilSeconds: number | undefined;
  readonly topBytes: number;
  readonly highlighted: string | undefined;
  readonly devicePixelRatio: number;
}

/** Differences below this are not drawn as steps: nobody could see them. */
const SAME_PX = 0.15;
const FADED = 0.22;
const VEIL = 0.35;

/** Draws into a box; the context's clip and styles are restored. */
export function drawDense(context: CanvasRenderingContext2D, plot: Box, input: DenseInput, theme: CanvasTheme): void {
  const { samples, window, topBytes } = input;
  const grid = gridOver(window, Math.round(plot.width * input.devicePixelRatio));
  const bins = binRows(samples, grid, input.holdUntilSeconds);
  const rows = highestRows(samples, bins);
  const columns = new Columns(
    rows,
    plot.x + timeToPx(window, plot.width, grid.startSeconds),
    (grid.binSeconds / spanSeconds(window)) * plot.width,
  );
  const pxPerByte = plot.height / topBytes;

  context.save();
  context.beginPath();
  context.rect(plot.x, plot.y, plot.width, plot.height);
  context.clip();
  drawGaps(context, plot, columns, input, theme);
  const lower = new Float64Array(grid.count).fill(plot.y + plot.height);
  for (const band of bandsOf(samples)) {
    const isFaded = input.highlighted !== undefined && input.highlighted !== band.consumer;
    context.globalAlpha = isFaded ? FADED : 1;
    drawBand(context, columns, lower, band, samples, pxPerByte, theme);
  }
  context.globalAlpha = 1;
  const used = binSeries(samples, bins, SERIES.used);
  const total = binSeries(samples, bins, SERIES.total).max;
  const floor = plot.y + plot.height;
  // Dips are a veil and not a line: a minute of oscillation would otherwise be a black block.
  traceArea(context, columns, toPx(used.max, floor, pxPerByte), toPx(used.min, floor, pxPerByte));
  context.globalAlpha = VEIL;
  context.fillStyle = theme.surface;
  context.fill();
  context.globalAlpha = 1;
  traceLine(context, columns, toPx(used.max, floor, pxPerByte));
  context.strokeStyle = theme.text;
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  context.stroke();
  traceLine(context, columns, toPx(total, floor, pxPerByte));
  context.strokeStyle = theme.danger;
  context.setLineDash([6, 4]);
  context.stroke();
  context.restore();
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

function toPx(bytes: Float64Array, floor: number, pxPerByte: number): Float64Array {
  return bytes.map((value) => floor - value * pxPerByte);
}

/** Hatches stretches inside the recording where sampling was off. */
function drawGaps(
  context: CanvasRenderingContext2D,
  plot: Box,
  columns: Columns,
  { samples, window }: DenseInput,
  theme: CanvasTheme,
): void {
  const { firstSeconds, lastSeconds } = samples;
  if (firstSeconds === undefined || lastSeconds === undefined) return;
  context.fillStyle = theme.gap;
  for (const [from, to] of columns.runs(false)) {
    if (from === 0 && firstSeconds >= window.startSeconds) continue;
    if (to === columns.count && lastSeconds <= window.endSeconds) continue;
    const x = columns.x(from);
    const width = columns.x(to) - x;
    context.fillRect(x, plot.y, width, plot.height);
    if (width < 80) continue;
    context.fillStyle = theme.textSoft;
    context.font = `11px ${theme.font}`;
    context.textAlign = "center";
    context.fillText("no samples", x + width / 2, plot.y + plot.height / 2);
    context.fillStyle = theme.gap;
  }
}
