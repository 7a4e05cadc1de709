/**
 * The timeline: who holds each gigabyte, over time. recharts draws axes, grid and the overview; the stack is a canvas
 * (canvas/), drawn by a loop outside React (frame-loop.ts). This file only puts the parts together and listens.
 */
import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { byteAxis } from "../../core/timeline/byte-axis.ts";
import type { Marker } from "../../core/timeline/markers.ts";
import type { TimeWindow } from "../../core/timeline/time-scale.ts";
import type { Timeline as TimelineData } from "../../core/timeline/timeline.ts";
import { formatSeconds } from "../../core/units.ts";
import { BytesAxis, canMoveTo, moveAxis, overscanOf, TimeAxis } from "./axes.tsx";
import { markersOf } from "./canvas/annotations.ts";
import { type Box, geometryOf } from "./canvas/geometry.ts";
import { placeAt, startFrameLoop } from "./frame-loop.ts";
import { listenToGestures } from "./gestures.ts";
import { MarkerTooltip } from "./marker-tooltip.tsx";
import { OVERVIEW_PX, Overview, placeFrame } from "./overview.tsx";
import { Readout } from "./readout.tsx";
import { TimelineSummary } from "./summary.tsx";
import { useSize, useViewState } from "./use-view.ts";
import type { TimelineView } from "./view.ts";
import "./timeline.css";

/** recharts is given at most ten new axes a second. */
const AXES_MS = 100;
const LABEL_OVERHANG_PX = 28;
const AXIS_LINE_PX = 2;
/** Above and below the overview. */
const OVERVIEW_GAP_PX = 8;
const CURSOR_STEP_PX = 4;
const BIG_CURSOR_STEP_PX = 40;

interface TimelineProps {
  /** A new object when actions or phases change; samples may grow inside it. */
  readonly timeline: TimelineData;
  readonly view: TimelineView;
}

/** Fills its parent, which has to have a height. */
export function Timeline({ timeline, view }: TimelineProps): ReactNode {
  const [main, setMain] = useState<HTMLElement | null>(null);
  const size = useSize(main);
  useEffect(() => view.attach(timeline), [view, timeline]);
  const stageHeight = (size?.height ?? 0) - OVERVIEW_PX - 2 * OVERVIEW_GAP_PX;
  return (
    <section className="timeline" aria-label="Memory timeline">
      <div className="timeline-parts">
        <div className="timeline-main" ref={setMain}>
          {size !== undefined && size.width > 160 && stageHeight > 120 && (
            <Stage timeline={timeline} view={view} width={size.width} height={stageHeight} />
          )}
        </div>
        <Readout timeline={timeline} view={view} />
      </div>
      <TimelineSummary timeline={timeline} view={view} />
    </section>
  );
}

interface StageProps extends TimelineProps {
  readonly width: number;
  readonly height: number;
}

function Stage({ timeline, view, width, height }: StageProps): ReactNode {
  const hasPhases = timeline.phases.length > 0;
  const geometry = useMemo(() => geometryOf(width, height, hasPhases), [width, height, hasPhases]);
  const { plot } = geometry;
  const state = useViewState(view, AXES_MS);
  const [axisWindow, setAxisWindow] = useState<TimeWindow>(() => overscanOf(state.window));
  if (!canMoveTo(state.window, axisWindow)) setAxisWindow(overscanOf(state.window));
  const bytes = byteAxis(timeline.samples, state.window, state.height);
  const steadyBytes = useSteady(bytes, `${bytes.topBytes}`);
  const [marker, setMarker] = useState<Marker>();

  const stage = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const overviewFrame = useRef<HTMLDivElement>(null);
  const hoverLine = useRef<HTMLDivElement>(null);
  const lineA = useRef<HTMLDivElement>(null);
  const lineB = useRef<HTMLDivElement>(null);
  const selection = useRef<HTMLDivElement>(null);
  const shown = useRef({ view, timeline, geometry, axisWindow });
  const helpId = useId();

  useLayoutEffect(() => {
    shown.current = { view, timeline, geometry, axisWindow };
    if (axis.current !== null) moveAxis(axis.current, axisWindow, view.state.window, plot);
  });

  useEffect(() => {
    if (stage.current === null || canvas.current === null) return;
    const targets = {
      stage: stage.current,
      canvas: canvas.current,
      onDrawn: (drawn: TimelineView["state"], at: typeof geometry) => {
        const now = shown.current;
        if (axis.current !== null) moveAxis(axis.current, now.axisWindow, drawn.window, at.plot);
        placeFrame(overviewFrame.current, now.timeline, drawn.window, at.plot.width);
        placeAt(hoverLine.current, drawn.hoverSeconds, drawn, at);
        placeAt(lineA.current, drawn.cursorA, drawn, at);
        placeAt(lineB.current, drawn.cursorB, drawn, at);
        placeSelection(selection.current, drawn, at.plot.width);
      },
    };
    return startFrameLoop(targets, () => shown.current);
  }, []);

  useEffect(() => {
    if (stage.current === null) return;
    const markerAt = (x: number, y: number): Marker | undefined => {
      const now = shown.current;
      const { markers: lane } = now.geometry;
      if (y < lane.y || y > lane.y + lane.height) return undefined;
      return markersOf(now.timeline.actions, now.view.state.window, now.geometry).find(
        (candidate) => Math.abs(lane.x + candidate.px - x) <= candidate.roomPx / 2,
      );
    };
    return listenToGestures(stage.current, view, {
      plotX: () => shown.current.geometry.plot.x,
      plotWidth: () => shown.current.geometry.plot.width,
      onPoint: (x, y) => {
        const next = x === undefined ? undefined : markerAt(x, y);
        setMarker((before) => (before?.actions[0] === next?.actions[0] ? before : next));
      },
      onClick: (x, y) => {
        const action = markerAt(x, y)?.actions[0];
        if (action !== undefined) view.select(action);
        return action !== undefined;
      },
    });
  }, [view]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const direction = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (direction === 0 || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    view.moveCursor(direction * (event.altKey ? BIG_CURSOR_STEP_PX : CURSOR_STEP_PX), plot.width, event.shiftKey);
  };

  const lineTop = geometry.markers.y;
  const lineStyle = { top: lineTop, height: plot.y + plot.height - lineTop };
  return (
    <>
      <div
        className="timeline-stage"
        ref={stage}
        style={{ height }}
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move the cursors
        tabIndex={0}
        aria-label="Memory over time"
        aria-describedby={helpId}
        onKeyDown={onKeyDown}
      >
        <p id={helpId} className="timeline-offscreen">
          Left and right arrows move cursor A, with Shift cursor B. The same figures are in the table view.
        </p>
        <div className="timeline-bytes" style={{ top: plot.y - 8 }} aria-hidden>
          <BytesAxis geometry={geometry} bytes={steadyBytes} />
        </div>
        <div
          className="timeline-axis-clip"
          style={{ left: plot.x, top: plot.y, width: plot.width, clipPath: axisClip(plot) }}
          aria-hidden
        >
          <div className="timeline-axis" ref={axis}>
            <TimeAxis
              geometry={geometry}
              drawn={axisWindow}
              bytes={steadyBytes}
              originSeconds={timeline.samples.originSeconds ?? 0}
              labels={state.timeLabels}
            />
          </div>
        </div>
        <canvas className="timeline-canvas" ref={canvas} style={{ width, height }} aria-hidden />
        <div className="timeline-plot-clip" style={{ left: plot.x, width: plot.width, ...lineStyle }}>
          <div className="timeline-selection" ref={selection} />
        </div>
        <div className="timeline-line" data-kind="hover" ref={hoverLine} style={lineStyle} />
        <div className="timeline-line" data-kind="cursor" ref={lineA} style={lineStyle}>
          <span>A</span>
        </div>
        <div className="timeline-line" data-kind="cursor" ref={lineB} style={lineStyle}>
          <span>B</span>
        </div>
        <Chips
          timeline={timeline}
          view={view}
          right={width - plot.x - plot.width}
          bottom={height - plot.y - plot.height}
        />
        {marker && <MarkerTooltip marker={marker} geometry={geometry} />}
      </div>
      <div className="timeline-overview-place" style={{ marginLeft: plot.x, width: plot.width }}>
        <Overview timeline={timeline} view={view} width={plot.width} frame={overviewFrame} />
      </div>
    </>
  );
}

/** What the view does not show: how far it is behind, and what was lost. */
function Chips(props: TimelineProps & { readonly right: number; readonly bottom: number }): ReactNode {
  const { timeline, view, right, bottom } = props;
  const { isFollowing } = useViewState(view, AXES_MS * 5);
  const { lostSamples, droppedRows } = timeline.samples;
  return (
    <div className="timeline-chips figures" style={{ right: right + 8, bottom: bottom + 8 }}>
      {lostSamples > 0 && !view.isLive && <span className="timeline-chip">{lostSamples} samples lost</span>}
      {droppedRows > 0 && (
        <span className="timeline-chip">oldest {droppedRows.toLocaleString("en")} samples dropped</span>
      )}
      {view.isLive && !isFollowing && (
        <button type="button" className="timeline-chip" data-kind="paused" onClick={() => view.follow()}>
          Paused{behindWords(view.behindSeconds())} · <kbd>L</kbd> to follow
        </button>
      )}
    </div>
  );
}

/** Nothing while the newest sample is still in view. */
function behindWords(seconds: number): string {
  return seconds < 1 ? "" : `, ${formatSeconds(Math.round(seconds))} behind`;
}

/** Grid lines end with the plot; labels below it may stand out at both sides, as a label of the first tick does. */
function axisClip({ width, height }: Box): string {
  const out = LABEL_OVERHANG_PX;
  const corners = [
    [0, 0],
    [width, 0],
    [width, height + AXIS_LINE_PX],
    [width + out, height + AXIS_LINE_PX],
    [width + out, 2 * height],
    [-out, 2 * height],
    [-out, height + AXIS_LINE_PX],
    [0, height + AXIS_LINE_PX],
  ];
  return `polygon(${corners.map(([x, y]) => `${x}px ${y}px`).join(", ")})`;
}

function placeSelection(element: HTMLElement | null, state: TimelineView["state"], widthPx: number): void {
  if (element === null) return;
  const { cursorA, cursorB, window } = state;
  const hasRange = cursorA !== undefined && cursorB !== undefined;
  element.style.visibility = hasRange ? "visible" : "hidden";
  if (!hasRange) return;
  const pxPerSecond = widthPx / (window.endSeconds - window.startSeconds);
  const left = (Math.min(cursorA, cursorB) - window.startSeconds) * pxPerSecond;
  element.style.transform = `translateX(${left}px)`;
  element.style.width = `${Math.abs(cursorB - cursorA) * pxPerSecond}px`;
}

/** The first of equal values, so that memoised components see no change. */
function useSteady<T>(value: T, identity: string): T {
  const steady = useRef({ value, identity });
  if (steady.current.identity !== identity) steady.current = { value, identity };
  return steady.current.value;
}
