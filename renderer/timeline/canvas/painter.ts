/** Draws frames of a timeline: the dense layer and what explains it. Knows nothing of React. */
import { byteAxis } from "../../../core/timeline/byte-axis.ts";
import type { Timeline } from "../../../core/timeline/timeline.ts";
import type { TimelineViewState } from "../view.ts";
import { drawCapacity, drawMarkers, drawPeak, drawPhases, markersOf } from "./annotations.ts";
import { DenseLayer } from "./dense-layer.ts";
import type { Geometry } from "./geometry.ts";
import { drawOutline } from "./outline.ts";
import type { CanvasTheme } from "./theme.ts";

export interface FrameInput {
  readonly timeline: Timeline;
  readonly state: TimelineViewState;
  readonly geometry: Geometry;
  readonly devicePixelRatio: number;
  readonly theme: CanvasTheme;
  /** The moving edge of a live timeline. */
  readonly holdUntilSeconds: number | undefined;
}

/** Draws one timeline onto one canvas, again and again. */
export class Painter {
  private readonly canvas: HTMLCanvasElement;
  private readonly dense = new DenseLayer();

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
  }

  paint(input: FrameInput): void {
    const { canvas } = this;
    const context = canvas.getContext("2d");
    if (context === null) return;
    const { timeline, state, geometry, devicePixelRatio, theme, holdUntilSeconds } = input;
    const width = Math.round(geometry.width * devicePixelRatio);
    const height = Math.round(geometry.height * devicePixelRatio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const { samples } = timeline;
    const { window, highlighted } = state;
    const { plot } = geometry;
    const { topBytes } = byteAxis(samples, window, state.height);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.dense.draw(context, {
      samples,
      window,
      plot,
      devicePixelRatio,
      holdUntilSeconds,
      topBytes,
      shown: state.height,
      highlighted,
      theme,
    });
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    drawPhases(context, geometry, timeline, window, theme);
    drawMarkers(context, geometry, markersOf(timeline.actions, window, geometry), theme);
    const axis = { plot, window, topBytes, height: state.height };
    const capacityLabel = drawCapacity(context, axis, timeline, theme);
    if (timeline.over !== undefined) drawOutline(context, axis, timeline.over, theme);
    drawPeak(context, axis, timeline, theme, capacityLabel);
  }
}
