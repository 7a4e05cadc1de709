/**
 * The loop that draws a timeline: looks once per screen frame whether anything changed and draws only then. Everything
 * that moves at the pace of the screen (canvas, axes, cursors) is placed here, outside React.
 */
import { timeToPx } from "../../core/timeline/time-scale.ts";
import type { Timeline } from "../../core/timeline/timeline.ts";
import type { Geometry } from "./canvas/geometry.ts";
import { Painter } from "./canvas/painter.ts";
import { type CanvasTheme, readTheme } from "./canvas/theme.ts";
import type { TimelineView, TimelineViewState } from "./view.ts";

/** What a frame needs to know; read anew in every frame. */
export interface FrameSource {
  readonly view: TimelineView;
  readonly timeline: Timeline;
  readonly geometry: Geometry;
}

export interface FrameTargets {
  readonly stage: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** Called after the canvas was drawn, to place what lies around it. */
  readonly onDrawn: (state: TimelineViewState, geometry: Geometry) => void;
}

/** Draws until the returned function is called. */
export function startFrameLoop(targets: FrameTargets, source: () => FrameSource): () => void {
  const { stage, canvas } = targets;
  const reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const painter = new Painter(canvas);
  let theme: CanvasTheme | undefined;
  let drawn: Drawn | undefined;
  let ratio = 0;

  const forgetTheme = (): void => {
    theme = undefined;
  };
  const observer = new MutationObserver(forgetTheme);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class", "style"] });
  dark.addEventListener("change", forgetTheme);

  const frame = (milliseconds: number): void => {
    request = requestAnimationFrame(frame);
    const now = source();
    const { view, timeline, geometry } = now;
    view.advance(milliseconds / 1000, geometry.plot.width, reducedMotion.matches);
    const { state } = view;
    if (theme === undefined || ratio !== window.devicePixelRatio) {
      ratio = window.devicePixelRatio;
      theme = readTheme(stage, ratio);
      drawn = undefined;
    }
    if (!needsDrawing(drawn, state, now)) return;
    const isOverlayOnly = drawn !== undefined && isSamePicture(drawn.state, state) && isSameSource(drawn, now);
    const { revision, lastSeconds } = timeline.samples;
    drawn = { state, source: now, revision, newestSeconds: lastSeconds };
    if (!isOverlayOnly) {
      const holdUntilSeconds = view.holdUntilSeconds(milliseconds / 1000);
      painter.paint({ timeline, state, geometry, devicePixelRatio: ratio, theme, holdUntilSeconds });
    }
    targets.onDrawn(state, geometry);
  };
  let request = requestAnimationFrame(frame);
  return () => {
    cancelAnimationFrame(request);
    observer.disconnect();
    dark.removeEventListener("change", forgetTheme);
  };
}

interface Drawn {
  readonly state: TimelineViewState;
  readonly source: FrameSource;
  readonly revision: number;
  readonly newestSeconds: number | undefined;
}

function needsDrawing(drawn: Drawn | undefined, state: TimelineViewState, now: FrameSource): boolean {
  return drawn === undefined || drawn.state !== state || !isSameSource(drawn, now);
}

/** New rows past the right edge of a paused view change nothing that is visible. */
function isSameSource({ source, newestSeconds, revision }: Drawn, now: FrameSource): boolean {
  const { samples } = now.timeline;
  const hasVisibleRows = revision !== samples.revision && (newestSeconds ?? 0) <= now.view.state.window.endSeconds;
  return source.geometry === now.geometry && source.timeline === now.timeline && !hasVisibleRows;
}

/** The pointer and the cursors are not on the canvas. */
function isSamePicture(before: TimelineViewState, after: TimelineViewState): boolean {
  return before.window === after.window && before.height === after.height && before.highlighted === after.highlighted;
}

/** Puts an element at a time of the plot, or hides it when that is not visible. */
export function placeAt(
  element: HTMLElement | null,
  timeSeconds: number | undefined,
  state: TimelineViewState,
  { plot }: Geometry,
): void {
  if (element === null) return;
  const px = timeSeconds === undefined ? -1 : timeToPx(state.window, plot.width, timeSeconds);
  const isVisible = px >= 0 && px <= plot.width;
  element.style.visibility = isVisible ? "visible" : "hidden";
  if (isVisible) element.style.transform = `translateX(${plot.x + px}px)`;
}
