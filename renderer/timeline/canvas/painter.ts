/**
 * Draws one frame of a timeline. Knows nothing of React: it is given a canvas, what to show and a theme, and keeps
 * nothing between frames.
 */
import { byteAxis } from "../../../core/timeline/byte-axis.ts";
import type { Timeline } from "../../../core/timeline/timeline.ts";
import type { TimelineViewState } from "../view.ts";
import { drawCapacityLabel, drawMarkers, drawPeak, drawPhases, markersOf } from "./annotations.ts";
import { drawDense } from "./bands.ts";
import type { Geometry } from "./geometry.ts";
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

export function paintFrame(canvas: HTMLCanvasElement, input: FrameInput): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  const { timeline, state, geometry, devicePixelRatio, theme } = input;
  const width = Math.round(geometry.width * devicePixelRatio);
  const height = Math.round(geometry.height * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, geometry.width, geometry.height);
  const { window } = state;
  const { topBytes } = byteAxis(timeline.samples, window, state.height);
  drawDense(
    context,
    geometry.plot,
    {
      samples: timeline.samples,
      window,
      holdUntilSeconds: input.holdUntilSeconds,
      topBytes,
      highlighted: state.highlighted,
      devicePixelRatio,
    },
    theme,
  );
  drawPhases(context, geometry, timeline, window, theme);
  drawMarkers(context, geometry, markersOf(timeline.actions, window, geometry), theme);
  drawCapacityLabel(context, geometry.plot, timeline, topBytes, theme);
  drawPeak(context, geometry.plot, timeline, window, topBytes, theme);
}
