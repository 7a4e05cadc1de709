/**
 * Memory over time: the areas of all consumers on each other with phases above them, the actions that changed them as
 * markers, the capacity and the peak. The same geometry as in the window (core/timeline), as SVG.
 */
import type { ReactNode } from "react";
import { actionIcon } from "../../../core/timeline/action-icons.ts";
import { binRows, gridOver, highestRows } from "../../../core/timeline/bins.ts";
import { layOutMarkers, type Marker } from "../../../core/timeline/markers.ts";
import { peakIn } from "../../../core/timeline/peak.ts";
import { bandsOf, capacityAt, heightSeries } from "../../../core/timeline/stack.ts";
import { bandEdges, Columns, traceArea, traceEdge } from "../../../core/timeline/step-area.ts";
import { byteTicks, formatByteTick, formatRelative, timeTicks } from "../../../core/timeline/ticks.ts";
import { spanSeconds, type TimeWindow, timeToPx } from "../../../core/timeline/time-scale.ts";
import type { Phase, Timeline } from "../../../core/timeline/timeline.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";
import { type Box, bandFill, byteScale, Chart, consumerClass, HorizontalLine, textWidth } from "./chart.tsx";
import { pathOf, rounded } from "./svg-path.ts";

export interface TimelineChartProps {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly timeline: Timeline;
  /** The timeline's own, or those that fit. */
  readonly phases: readonly NamedPhase[];
  readonly window: TimeWindow;
  readonly width: number;
  readonly height: number;
  /** A height to compare with. */
  readonly reference: { readonly bytes: number; readonly label: string } | undefined;
}

export interface NamedPhase extends Phase {
  /** Where there is no room for its name. */
  readonly shortName?: string;
}

/** What only regions and the pool hold: a process's own memory counts against no capacity. */
const HEIGHT = "regions";
const AXIS_WIDTH = 62;
const RIGHT = 10;
const PHASES_HEIGHT = 22;
const MARKERS_HEIGHT = 26;
const TIMES_HEIGHT = 22;
const LABEL_PX = 11;
const MARKER_RADIUS = 8.5;
const MARKER_SPACING = 19;
/** Columns per pixel of the picture: it may be shown larger. */
const SHARPNESS = 2;
const TICK_SPACING = 90;
const BYTE_TICKS = 6;

export function TimelineChart(props: TimelineChartProps): ReactNode {
  const { id, timeline, phases, window, width, height, reference } = props;
  const hasMarkers = timeline.actions.length > 0;
  const top = PHASES_HEIGHT + (hasMarkers ? MARKERS_HEIGHT : 4);
  const plot: Box = { x: AXIS_WIDTH, y: top, width: width - AXIS_WIDTH - RIGHT, height: height - top - TIMES_HEIGHT };
  const capacityBytes = capacityAt(timeline.samples, timeline.samples.endRow - 1, HEIGHT);
  const mostBytes = Math.max(peakIn(timeline, window, HEIGHT)?.bytes ?? 0, reference?.bytes ?? 0);
  const { topBytes, showsCapacity } = byteScale(mostBytes, capacityBytes);
  const capacity = `capacity ${formatBytes(capacityBytes)}`;
  const yOf = (bytes: number) => rounded(plot.y + plot.height * (1 - bytes / topBytes));
  return (
    <Chart {...props}>
      {byteTicks(topBytes, BYTE_TICKS).map((bytes) => (
        <g key={bytes}>
          <HorizontalLine box={plot} y={yOf(bytes)} kind="grid" />
          <text className="axis" x={plot.x - 8} y={yOf(bytes) + 4} textAnchor="end">
            {formatByteTick(bytes)}
          </text>
        </g>
      ))}
      <Times window={window} plot={plot} />
      <Bands id={id} timeline={timeline} window={window} plot={plot} topBytes={topBytes} />
      <Phases phases={phases} window={window} plot={plot} />
      {hasMarkers && <Markers timeline={timeline} window={window} plot={plot} />}
      {reference && <LabelledLine plot={plot} y={yOf(reference.bytes)} kind="reference" label={reference.label} />}
      {showsCapacity ? (
        <LabelledLine plot={plot} y={yOf(capacityBytes)} kind="capacity" label={capacity} />
      ) : (
        <text className="label-capacity" x={plot.x + 6} y={plot.y + 13}>
          {`${capacity} ↑`}
        </text>
      )}
      <PeakLabel timeline={timeline} window={window} plot={plot} topBytes={topBytes} />
    </Chart>
  );
}

interface PartProps {
  readonly timeline: Timeline;
  readonly window: TimeWindow;
  readonly plot: Box;
}

function Bands({
  id,
  timeline,
  window,
  plot,
  topBytes,
}: PartProps & { readonly id: string; readonly topBytes: number }): ReactNode {
  const { samples } = timeline;
  const grid = gridOver(window, plot.width * SHARPNESS);
  const bins = binRows(samples, grid, window.endSeconds);
  const firstPx = plot.x + timeToPx(window, plot.width, grid.startSeconds);
  // Not by timeToPx: a Unix time leaves too few digits for a bin of microseconds.
  const columnPx = (plot.width * grid.binSeconds) / spanSeconds(window);
  const columns = new Columns(highestRows(samples, bins, heightSeries(HEIGHT)), firstPx, columnPx);
  const lower = new Float64Array(grid.count).fill(plot.y + plot.height);
  const clip = `${id}-clip`;
  return (
    <>
      <clipPath id={clip}>
        <rect x={plot.x} y={plot.y} width={plot.width} height={plot.height} />
      </clipPath>
      <g clipPath={`url(#${clip})`}>
        {bandsOf(samples, HEIGHT).map((band) => {
          const edges = bandEdges(samples, columns, band, lower, plot.height / topBytes);
          if (edges.isEmpty) return undefined;
          const below = lower.slice();
          lower.set(edges.upper);
          return (
            <g key={band.consumer} className={consumerClass(band.consumer)}>
              <title>{band.consumer}</title>
              {!edges.isFull && (
                <path className="band-tint" d={pathOf((path) => traceArea(path, columns, below, edges.upper))} />
              )}
              <path {...bandFill(band.consumer)} d={pathOf((path) => traceArea(path, columns, below, edges.inUse))} />
              <path className="band-edge" d={pathOf((path) => traceEdge(path, columns, below, edges.upper))} />
            </g>
          );
        })}
      </g>
    </>
  );
}

function Times({ window, plot }: Omit<PartProps, "timeline">): ReactNode {
  const bottom = plot.y + plot.height;
  const ticks = timeTicks(window, plot.width / TICK_SPACING, window.startSeconds);
  return ticks.times.map((seconds) => {
    const x = rounded(plot.x + timeToPx(window, plot.width, seconds));
    return (
      <g key={seconds}>
        <line className="line-axis" x1={x} x2={x} y1={bottom} y2={bottom + 4} />
        <text className="axis" x={x} y={bottom + 17} textAnchor="middle">
          {formatRelative(seconds - window.startSeconds, ticks.stepSeconds)}
        </text>
      </g>
    );
  });
}

interface PhasesProps {
  readonly phases: readonly NamedPhase[];
  readonly window: TimeWindow;
  readonly plot: Box;
}

/** Bands above the plot, with a line down where each begins. */
function Phases({ phases, window, plot }: PhasesProps): ReactNode {
  return phases.map(({ name, shortName, startSeconds, endSeconds }, index) => {
    const from = Math.max(plot.x, plot.x + timeToPx(window, plot.width, startSeconds));
    const to = Math.min(plot.x + plot.width, plot.x + timeToPx(window, plot.width, endSeconds ?? window.endSeconds));
    if (to <= plot.x || from >= plot.x + plot.width) return undefined;
    const words = name.replaceAll("_", " ");
    const fits = (text: string) => textWidth(text, LABEL_PX) + 8 <= to - from;
    const label = fits(words) ? words : (shortName ?? "");
    const length = (endSeconds ?? window.endSeconds) - startSeconds;
    return (
      <g key={`${name}-${startSeconds}`} className={index % 2 === 0 ? "phase-even" : "phase-odd"}>
        <title>{`${words}: ${formatSeconds(length)}`}</title>
        <rect
          className="phase"
          x={rounded(from + 0.5)}
          y={0}
          width={rounded(Math.max(1, to - from - 1))}
          height={18}
          rx={3}
        />
        <line className="line-phase" x1={rounded(from)} x2={rounded(from)} y1={plot.y} y2={plot.y + plot.height} />
        {label !== "" && fits(label) && (
          <text className="phase-name" x={rounded((from + to) / 2)} y={13} textAnchor="middle">
            {label}
          </text>
        )}
      </g>
    );
  });
}

function Markers({ timeline, window, plot }: PartProps): ReactNode {
  const y = PHASES_HEIGHT + MARKERS_HEIGHT / 2 - 1;
  return layOutMarkers(timeline.actions, window, plot.width, MARKER_SPACING).map((marker) => {
    const x = rounded(plot.x + marker.px);
    const [first] = marker.actions;
    if (first === undefined) return undefined;
    const subject = marker.actions.find(({ error }) => error !== undefined) ?? first;
    const colour = marker.hasFailure ? "c-failure" : consumerClass(subject.consumer ?? "");
    return (
      <g key={first.id} className={colour}>
        <title>
          {marker.actions
            .map(({ label, milliseconds }) => `${label}, ${formatSeconds(milliseconds / 1000)}`)
            .join("\n")}
        </title>
        <line className="line-marker" x1={x} x2={x} y1={y + MARKER_RADIUS} y2={plot.y + plot.height} />
        <circle className="marker" cx={x} cy={y} r={MARKER_RADIUS} />
        <MarkerSign marker={marker} x={x} y={y} />
      </g>
    );
  });
}

function MarkerSign({ marker, x, y }: { readonly marker: Marker; readonly x: number; readonly y: number }): ReactNode {
  const [first, second] = marker.actions;
  if (second !== undefined) {
    return (
      <text className="marker-count" x={x} y={y + 3.5} textAnchor="middle">
        {marker.actions.length}
      </text>
    );
  }
  if (first === undefined) return undefined;
  const d = pathOf((path) => {
    for (const stroke of actionIcon(first)) {
      for (const [index, [dx, dy]] of stroke.entries()) {
        if (index === 0) path.moveTo(x + dx, y + dy);
        else path.lineTo(x + dx, y + dy);
      }
    }
  });
  return <path className="marker-sign" d={d} />;
}

interface LabelledLineProps {
  readonly plot: Box;
  readonly y: number;
  readonly kind: "capacity" | "reference";
  readonly label: string;
}

function LabelledLine({ plot, y, kind, label }: LabelledLineProps): ReactNode {
  return (
    <>
      <HorizontalLine box={plot} y={y} kind={kind} />
      <text className={`label-${kind}`} x={plot.x + plot.width - 4} y={y - 5} textAnchor="end">
        {label}
      </text>
    </>
  );
}

/** A ring on the highest moment, and how much it was. */
function PeakLabel({ timeline, window, plot, topBytes }: PartProps & { readonly topBytes: number }): ReactNode {
  const peak = peakIn(timeline, window, HEIGHT);
  if (peak === undefined) return undefined;
  const x = rounded(plot.x + timeToPx(window, plot.width, peak.timeSeconds));
  const y = rounded(plot.y + plot.height * (1 - peak.bytes / topBytes));
  const label = `peak ${formatBytes(peak.bytes)}`;
  const room = textWidth(label, 12);
  const isAtRight = x + room + 16 > plot.x + plot.width;
  return (
    <g>
      <circle className="peak-ring" cx={x} cy={y} r={4} />
      <text className="peak-label" x={isAtRight ? x - 8 : x + 8} y={y - 8} textAnchor={isAtRight ? "end" : "start"}>
        {label}
      </text>
    </g>
  );
}
