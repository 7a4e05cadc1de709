/**
 * The dense layer's picture, kept between frames. Its columns lie on a fixed grid of time, so a view that pans or
 * follows moves the picture it has and draws only the columns that came into view or got new samples; that is what
 * makes sixty frames a second of an hour at 100 Hz possible without a GPU.
 */
import type { BinGrid } from "../../../core/timeline/bins.ts";
import type { StackHeight } from "../../../core/timeline/stack.ts";
import type { TimelineStore } from "../../../core/timeline/store.ts";
import { spanSeconds, type TimeWindow } from "../../../core/timeline/time-scale.ts";
import { drawColumns } from "./bands.ts";
import type { Box } from "./geometry.ts";
import type { CanvasTheme } from "./theme.ts";

export interface DenseInput {
  readonly samples: TimelineStore;
  readonly window: TimeWindow;
  readonly plot: Box;
  readonly devicePixelRatio: number;
  readonly holdUntilSeconds: number | undefined;
  readonly topBytes: number;
  readonly shown: StackHeight;
  readonly highlighted: string | undefined;
  readonly theme: CanvasTheme;
}

/** The picture that the canvas holds. */
interface Picture {
  readonly input: DenseInput;
  readonly binSeconds: number;
  /** Number of the leftmost column, counted in bins since 1970. */
  readonly firstColumn: number;
  readonly columns: number;
  /** Column at which textures begin: they have to go on unbroken where the picture is extended. */
  readonly anchorColumn: number;
  readonly revision: number;
  readonly firstRow: number;
  readonly newestSeconds: number;
}

/** Strokes reach this far into the columns beside them. */
const STROKE_COLUMNS = 2;
const SAME_SCALE = 1e-9;

export class DenseLayer {
  private readonly canvas = document.createElement("canvas");
  private readonly context = this.canvas.getContext("2d");
  private picture: Picture | undefined;

  /** Brings the picture up to date and puts it onto a canvas whose transform is the identity. */
  draw(target: CanvasRenderingContext2D, input: DenseInput): void {
    const { plot, window, devicePixelRatio: ratio } = input;
    const picture = this.update(input);
    const width = Math.round(plot.width * ratio);
    const skipped = Math.round(window.startSeconds / picture.binSeconds - picture.firstColumn);
    const { canvas } = this;
    const [x, y] = [Math.round(plot.x * ratio), Math.round(plot.y * ratio)];
    target.drawImage(canvas, skipped, 0, width, canvas.height, x, y, width, canvas.height);
  }

  private update(input: DenseInput): Picture {
    const { window, plot, devicePixelRatio: ratio, samples } = input;
    const columns = Math.round(plot.width * ratio) + 2;
    const previous = this.picture;
    const isMovable = previous !== undefined && canMove(previous, input, columns);
    const binSeconds = isMovable ? previous.binSeconds : spanSeconds(window) / (columns - 2);
    const firstColumn = Math.floor(window.startSeconds / binSeconds);
    const shift = isMovable ? firstColumn - previous.firstColumn : 0;
    const isKept = isMovable && Math.abs(shift) < columns;
    const picture: Picture = {
      input,
      binSeconds,
      firstColumn,
      columns,
      anchorColumn: isKept ? previous.anchorColumn : firstColumn,
      revision: samples.revision,
      firstRow: samples.firstRow,
      newestSeconds: samples.lastSeconds ?? 0,
    };
    this.picture = picture;
    if (!isKept) {
      this.resize(columns, Math.round(plot.height * ratio));
      this.paint(picture, firstColumn, firstColumn + columns);
      return picture;
    }
    this.move(shift);
    const end = firstColumn + columns;
    if (shift < 0) this.paint(picture, firstColumn, firstColumn - shift);
    const isStale = previous.revision !== samples.revision || input.holdUntilSeconds !== undefined;
    const staleFrom = isStale ? Math.floor(previous.newestSeconds / binSeconds) : end;
    const exposedFrom = shift > 0 ? end - shift : end;
    this.paint(picture, Math.max(firstColumn, Math.min(staleFrom, exposedFrom)), end);
    return picture;
  }

  /** Setting a canvas's size allocates it anew, even when it is the same. */
  private resize(width: number, height: number): void {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  private move(columns: number): void {
    const { context } = this;
    if (context === null || columns === 0) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "copy";
    context.drawImage(this.canvas, -columns, 0);
    context.globalCompositeOperation = "source-over";
  }

  /** Draws columns [from, to) anew. */
  private paint(picture: Picture, from: number, to: number): void {
    const { context } = this;
    if (context === null || from >= to) return;
    const { input, binSeconds, anchorColumn, firstColumn } = picture;
    const { plot, devicePixelRatio: ratio } = input;
    const x = (column: number): number => (column - anchorColumn) / ratio;
    const clipFrom = from - STROKE_COLUMNS;
    const drawFrom = clipFrom - STROKE_COLUMNS;
    const drawTo = to + 2 * STROKE_COLUMNS;
    const grid: BinGrid = { startSeconds: drawFrom * binSeconds, binSeconds, count: drawTo - drawFrom };
    context.save();
    context.setTransform(ratio, 0, 0, ratio, anchorColumn - firstColumn, 0);
    context.beginPath();
    context.rect(x(clipFrom), 0, (to + STROKE_COLUMNS - clipFrom) / ratio, plot.height + 1);
    context.clip();
    context.clearRect(x(clipFrom), 0, (to + STROKE_COLUMNS - clipFrom) / ratio, plot.height + 1);
    drawColumns(context, { ...input, grid, x: x(drawFrom), columnPx: 1 / ratio, height: plot.height }, input.theme);
    context.restore();
  }
}

/** Whether a picture only has to be moved and extended. */
function canMove(
  { input: before, binSeconds, columns, firstRow }: Picture,
  now: DenseInput,
  newColumns: number,
): boolean {
  const scale = spanSeconds(now.window) / (newColumns - 2) / binSeconds;
  return (
    before.samples === now.samples &&
    firstRow === now.samples.firstRow &&
    columns === newColumns &&
    before.plot.height === now.plot.height &&
    before.devicePixelRatio === now.devicePixelRatio &&
    before.topBytes === now.topBytes &&
    before.shown === now.shown &&
    before.highlighted === now.highlighted &&
    before.theme === now.theme &&
    Math.abs(scale - 1) < SAME_SCALE
  );
}
