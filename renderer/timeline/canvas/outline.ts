/** Draws the timeline that lies over another one. */
import { type Outline, outlineColumns, type Stretch } from "../../../core/timeline/outline.ts";
import { timeToPx } from "../../../core/timeline/time-scale.ts";
import { clipped, type PlotAxis } from "./annotations.ts";
import type { CanvasTheme } from "./theme.ts";

/** A stretch that is wider than the window is drawn no finer. */
const MOST_COLUMNS = 4096;

/** What its samples held as a line, and the peak of each phase as dots. */
export function drawOutline(
  context: CanvasRenderingContext2D,
  { plot, window, topBytes }: PlotAxis,
  outline: Outline,
  theme: CanvasTheme,
): void {
  const xOf = (seconds: number): number => plot.x + timeToPx(window, plot.width, seconds);
  const yOf = (bytes: number): number => plot.y + plot.height * (1 - bytes / topBytes);
  const [sampled, peaks] = [new Path2D(), new Path2D()];
  for (const stretch of outline.stretches) {
    const [left, right] = [xOf(stretch.over.startSeconds), xOf(stretch.over.endSeconds)];
    if (right < plot.x || left > plot.x + plot.width) continue;
    peaks.moveTo(left, yOf(stretch.peakBytes));
    peaks.lineTo(right, yOf(stretch.peakBytes));
    addSamples(sampled, outline, stretch, { left, right, yOf });
  }
  clipped(context, plot, () => {
    context.lineJoin = "round";
    // Light under dark, so that it is seen on every band.
    for (const [stroke, width] of [
      [theme.surface, 4],
      [theme.text, 1.75],
    ] as const) {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.setLineDash([]);
      context.stroke(sampled);
      context.setLineDash(DOTS);
      context.stroke(peaks);
    }
    context.setLineDash([]);
  });
}

const DOTS = [2, 4];

interface Place {
  readonly left: number;
  readonly right: number;
  readonly yOf: (bytes: number) => number;
}

/** A line from column to column, through the lowest and the highest of each. */
function addSamples(path: Path2D, outline: Outline, stretch: Stretch, { left, right, yOf }: Place): void {
  const count = Math.max(1, Math.min(Math.round(right - left), MOST_COLUMNS));
  const { min, max } = outlineColumns(outline, stretch, count);
  const edge = (column: number) => left + (column / count) * (right - left);
  let isOpen = false;
  for (let column = 0; column < count; column++) {
    const [low, high] = [min[column] ?? Number.NaN, max[column] ?? Number.NaN];
    if (Number.isNaN(high)) {
      isOpen = false;
      continue;
    }
    if (isOpen) path.lineTo(edge(column), yOf(high));
    else path.moveTo(edge(column), yOf(high));
    path.lineTo(edge(column + 1), yOf(high));
    if (low < high) path.lineTo(edge(column + 1), yOf(low));
    isOpen = true;
  }
}
