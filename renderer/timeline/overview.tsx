/**
 * The whole recording in a strip below the timeline: a recharts summary of at most a few hundred points, drawn once a
 * second, with a frame around what is visible. Dragging in it moves the view.
 */
import { memo, type PointerEvent, type ReactNode, type RefObject, useMemo } from "react";
import { Area, AreaChart, XAxis, YAxis } from "recharts";
import { binRows, binSeries } from "../../core/timeline/bins.ts";
import { SERIES, type TimelineStore } from "../../core/timeline/store.ts";
import { pan, pxToTime, spanSeconds, type TimeWindow, timeToPx } from "../../core/timeline/time-scale.ts";
import { extentOf, type Timeline } from "../../core/timeline/timeline.ts";
import { usePulse } from "./use-view.ts";
import type { TimelineView } from "./view.ts";

export const OVERVIEW_PX = 40;
const POINTS = 240;
const REFRESH_MS = 1000;
const NO_MARGIN = { top: 2, right: 0, bottom: 0, left: 0 } as const;
const SMALLEST_FRAME_PX = 6;

interface OverviewProps {
  readonly timeline: Timeline;
  readonly view: TimelineView;
  readonly width: number;
  /** The frame around what is visible, placed by the drawing loop. */
  readonly frame: RefObject<HTMLDivElement | null>;
}

export function Overview({ timeline, view, width, frame }: OverviewProps): ReactNode {
  const pulse = usePulse(REFRESH_MS, view.isLive);
  const extent = extentOf(timeline);
  const move = (event: PointerEvent<HTMLElement>): void => {
    if (event.buttons !== 1 || extent === undefined) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const { window } = view.state;
    const box = event.currentTarget.getBoundingClientRect();
    const middle = pxToTime(extent, width, event.clientX - box.left);
    view.show(pan(window, middle - (window.startSeconds + window.endSeconds) / 2));
  };
  return (
    <div className="timeline-overview" style={{ height: OVERVIEW_PX }} onPointerDown={move} onPointerMove={move}>
      <Summary samples={timeline.samples} width={width} refresh={`${pulse}/${timeline.samples.rows > 0}`} />
      <div className="timeline-overview-frame" ref={frame} />
    </div>
  );
}

/** Puts the frame around what is visible. */
export function placeFrame(frame: HTMLElement | null, timeline: Timeline, window: TimeWindow, width: number): void {
  const extent = extentOf(timeline);
  if (frame === null || extent === undefined || spanSeconds(extent) <= 0) return;
  const from = Math.max(0, timeToPx(extent, width, window.startSeconds));
  const to = Math.min(width, timeToPx(extent, width, window.endSeconds));
  const size = Math.max(SMALLEST_FRAME_PX, to - from);
  frame.style.transform = `translateX(${Math.min(from, width - size)}px)`;
  frame.style.width = `${size}px`;
}

const Summary = memo(function Summary(props: {
  readonly samples: TimelineStore;
  readonly width: number;
  /** Changes when it is time to draw again: the samples change without React knowing. */
  readonly refresh: string;
}): ReactNode {
  const { samples, width, refresh } = props;
  // biome-ignore lint/correctness/useExhaustiveDependencies: see `refresh`
  const points = useMemo(() => summarise(samples), [samples, refresh]);
  if (points === undefined || width <= 0) return undefined;
  return (
    <AreaChart width={width} height={OVERVIEW_PX} data={points.data} margin={NO_MARGIN} accessibilityLayer={false}>
      <XAxis dataKey="bin" type="number" domain={[0, POINTS - 1]} hide />
      <YAxis type="number" domain={[0, points.topBytes]} hide />
      <Area
        dataKey="usedBytes"
        type="stepAfter"
        stroke="var(--text-3)"
        strokeWidth={1}
        fill="var(--text-3)"
        fillOpacity={0.22}
        isAnimationActive={false}
      />
    </AreaChart>
  );
});

function summarise(samples: TimelineStore) {
  const extent = extentOf({ samples });
  if (extent === undefined || spanSeconds(extent) <= 0) return undefined;
  const binSeconds = spanSeconds(extent) / POINTS;
  const bins = binRows(samples, { startSeconds: extent.startSeconds, binSeconds, count: POINTS });
  const used = binSeries(samples, bins, SERIES.used).max;
  const data = Array.from(used, (bytes, bin) => ({ bin, usedBytes: Number.isNaN(bytes) ? undefined : bytes }));
  const topBytes = Math.max(samples.valueAt(SERIES.total, samples.endRow - 1), 1);
  return { data, topBytes };
}
