/**
 * Axes and grid of a timeline, drawn by recharts. A commit of recharts takes tens of milliseconds, so the time axis is
 * drawn three windows wide and only moved while the view pans; it is drawn anew when the zoom changes or the overscan
 * runs out, at most ten times a second.
 */
import { memo, type ReactNode } from "react";
import { CartesianGrid, ComposedChart, XAxis, YAxis } from "recharts";
import type { ByteAxis } from "../../core/timeline/byte-axis.ts";
import { formatByteTick, formatClock, formatRelative, timeTicks } from "../../core/timeline/ticks.ts";
import { spanSeconds, type TimeWindow, timeToPx } from "../../core/timeline/time-scale.ts";
import { type Box, type Geometry, RIGHT_PX } from "./canvas/geometry.ts";

const TICK_SPACING_PX = 96;
const NO_MARGIN = { top: 0, right: 0, bottom: 0, left: 0 } as const;
const TICK = { fill: "var(--text-3)", fontSize: 11 } as const;

/** The stretch that the time axis is drawn for: the window and as much again on both sides. */
export function overscanOf(window: TimeWindow): TimeWindow {
  const span = spanSeconds(window);
  return { startSeconds: window.startSeconds - span, endSeconds: window.endSeconds + span };
}

/** Whether an axis drawn for `drawn` can be moved to show `window`, or must be drawn anew. */
export function canMoveTo(window: TimeWindow, drawn: TimeWindow): boolean {
  const isSameScale = Math.abs((3 * spanSeconds(window)) / spanSeconds(drawn) - 1) < 1e-6;
  return isSameScale && window.startSeconds >= drawn.startSeconds && window.endSeconds <= drawn.endSeconds;
}

/** Moves (and, until it is drawn anew, stretches) an axis drawn for `drawn` so that it fits `window`. */
export function moveAxis(element: HTMLElement, drawn: TimeWindow, window: TimeWindow, plot: Box): void {
  const stretch = spanSeconds(drawn) / (3 * spanSeconds(window));
  const left = timeToPx(window, plot.width, drawn.startSeconds);
  element.style.transform = `translateX(${left}px) scaleX(${stretch})`;
  for (const label of element.querySelectorAll<SVGTextElement>(".recharts-cartesian-axis-tick-value")) {
    const px = left + stretch * Number(label.getAttribute("x"));
    const isWhole = px >= 0 && px + labelWidthPx(label) / 2 <= plot.width + RIGHT_PX;
    label.style.visibility = isWhole ? "" : "hidden";
  }
}

/** Near enough, without asking for a layout in every frame. */
function labelWidthPx(label: SVGTextElement): number {
  return (label.textContent?.length ?? 0) * 0.6 * TICK.fontSize;
}

interface TimeAxisProps {
  readonly geometry: Geometry;
  /** From `overscanOf`. */
  readonly drawn: TimeWindow;
  readonly bytes: ByteAxis;
  readonly originSeconds: number;
  readonly labels: "relative" | "clock";
}

/** Vertical and horizontal grid lines and the labels of time. */
export const TimeAxis = memo(function TimeAxis(props: TimeAxisProps): ReactNode {
  const { geometry, drawn, bytes, originSeconds, labels } = props;
  const { plot } = geometry;
  const zeroSeconds = labels === "relative" ? originSeconds : localMidnight(originSeconds);
  const { times, stepSeconds } = timeTicks(drawn, (3 * plot.width) / TICK_SPACING_PX, zeroSeconds);
  const format = (seconds: number): string => {
    if (labels === "clock") return formatClock(Math.round((zeroSeconds + seconds) * 1e6) / 1e6, stepSeconds);
    // Nothing is older than the start of the recording.
    return seconds < -stepSeconds / 2 ? "" : formatRelative(seconds, stepSeconds);
  };
  const domain: [number, number] = [drawn.startSeconds - zeroSeconds, drawn.endSeconds - zeroSeconds];
  return (
    <ComposedChart
      width={3 * plot.width}
      height={geometry.height - plot.y}
      data={EDGES}
      margin={NO_MARGIN}
      accessibilityLayer={false}
    >
      <CartesianGrid stroke="var(--line)" strokeOpacity={0.7} />
      <XAxis
        dataKey="x"
        type="number"
        domain={domain}
        allowDataOverflow
        ticks={times.map((time) => time - zeroSeconds)}
        tickFormatter={format}
        interval={0}
        height={geometry.height - plot.y - plot.height}
        tick={TICK}
        tickLine={false}
        axisLine={{ stroke: "var(--line-strong, var(--line))" }}
      />
      <YAxis dataKey="y" type="number" domain={[0, bytes.topBytes]} ticks={[...bytes.ticks]} allowDataOverflow hide />
    </ComposedChart>
  );
});

/** The labels of bytes. */
export const BytesAxis = memo(function BytesAxis(props: {
  readonly geometry: Geometry;
  readonly bytes: ByteAxis;
}): ReactNode {
  const { geometry, bytes } = props;
  const { plot } = geometry;
  return (
    <ComposedChart
      width={plot.x}
      height={plot.height + 16}
      data={EDGES}
      margin={{ top: 8, right: 0, bottom: 8, left: 0 }}
      accessibilityLayer={false}
    >
      <YAxis
        dataKey="y"
        type="number"
        width={plot.x}
        domain={[0, bytes.topBytes]}
        ticks={[...bytes.ticks]}
        tickFormatter={formatByteTick}
        interval={0}
        allowDataOverflow
        tick={TICK}
        tickLine={false}
        axisLine={false}
      />
    </ComposedChart>
  );
});

/** The axes take their domains as given; a chart without data draws none. */
const EDGES = [
  { x: 0, y: 0 },
  { x: 1, y: 1 },
];

function localMidnight(timeSeconds: number): number {
  return new Date(timeSeconds * 1000).setHours(0, 0, 0, 0) / 1000;
}
