/**
 * Draws columns of the dense layer: stacked step areas, one device pixel per column. Each column shows the stack at the moment it
 * was highest (core/timeline/bins.ts); the device's own figure lies over it as a line at each column's maximum and a veil
 * down to its minimum, so short dips show too. Equal neighbours are merged, so a quiet hour costs a handful of path points.
 */
import { type BinGrid, binRows, binSeries, highestRows } from "../../../core/timeline/bins.ts";
import { type Band, bandsOf, heightSeries, type StackHeight } from "../../../core/timeline/stack.ts";
import { bandEdges, Columns, traceArea, traceEdge, traceLine } from "../../../core/timeline/step-area.ts";
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
  readonly shown: StackHeight;
  readonly highlighted: string | undefined;
}

const FADED = 0.22;
const VEIL = 0.35;
const USED_LINE = 0.8;

/** Draws a run of columns between 0 and `height`; leaves the context's styles changed. */
export function drawColumns(context: CanvasRenderingContext2D, input: ColumnsInput, theme: CanvasTheme): void {
  const { samples, grid, topBytes, height, shown } = input;
  const bins = binRows(samples, grid, input.holdUntilSeconds);
  const columns = new Columns(highestRows(samples, bins, heightSeries(shown)), input.x, input.columnPx);
  const pxPerByte = height / topBytes;
  drawGaps(context, columns, input, theme);
  const lower = new Float64Array(grid.count).fill(height);
  for (const band of bandsOf(samples, shown)) {
    const isFaded = input.highlighted !== undefined && input.highlighted !== band.consumer;
    context.globalAlpha = isFaded ? FADED : 1;
    drawBand(context, columns, lower, band, samples, pxPerByte, theme);
  }
  context.globalAlpha = 1;
  // The device's own figure counts what is not drawn then.
  if (shown === "regions") return;
  const used = binSeries(samples, bins, SERIES.used);
  const toPx = (bytes: Float64Array): Float64Array => bytes.map((value) => height - value * pxPerByte);
  const usedTop = toPx(used.max);
  // Dips are a veil and not a line: a minute of oscillation would otherwise be a black block.
  context.beginPath();
  traceArea(context, columns, usedTop, toPx(used.min));
  context.globalAlpha = VEIL;
  context.fillStyle = theme.surface;
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  traceLine(context, columns, usedTop);
  context.globalAlpha = USED_LINE;
  context.strokeStyle = theme.text;
  context.lineWidth = 1;
  context.stroke();
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
  const { upper, inUse, isEmpty, isFull } = bandEdges(samples, columns, band, lower, pxPerByte);
  if (isEmpty) return;
  const colours = theme.band(band.consumer);
  if (!isFull) {
    context.beginPath();
    traceArea(context, columns, lower, upper);
    context.fillStyle = colours.tint;
    context.fill();
  }
  context.beginPath();
  traceArea(context, columns, lower, inUse);
  context.fillStyle = colours.fill;
  context.fill();
  context.beginPath();
  traceEdge(context, columns, lower, upper);
  context.lineWidth = 1;
  context.strokeStyle = isFull ? theme.surface : colours.colour;
  context.stroke();
  lower.set(upper);
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
