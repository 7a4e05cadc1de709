/**
 * Draws what explains the stack: phases, the lane of action markers with their guides, the capacity's label and the
 * peak with its owner.
 */
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { binRows } from "../../../core/timeline/bins.ts";
import { layOutMarkers, type Marker } from "../../../core/timeline/markers.ts";
import { peakIn } from "../../../core/timeline/peak.ts";
import { phaseBands } from "../../../core/timeline/phase-bands.ts";
import { capacityAt, type StackHeight } from "../../../core/timeline/stack.ts";
import { spanSeconds, type TimeWindow, timeToPx } from "../../../core/timeline/time-scale.ts";
import type { Timeline } from "../../../core/timeline/timeline.ts";
import { formatBytes } from "../../../core/units.ts";
import type { Box, Geometry } from "./geometry.ts";
import { drawActionIcon } from "./icons.ts";
import type { CanvasTheme } from "./theme.ts";

/** Height of a marker, and how far two must be apart. */
const MARKER_PX = 18;
const MARKER_SPACING_PX = 20;
/** How far those at the edges of the window stand out of it. */
const MARKER_OVERHANG_PX = 40;
/** Left and right of a count that fits the circle, and of one that makes it longer; both sides together. */
const CIRCLE_PADDING_PX = 4;
const PILL_PADDING_PX = 10;
/** The capacity changes only when somebody sets it. */
const CAPACITY_BINS = 256;
const CAPACITY_LABEL_PX = 14;
const PEAK_LABEL_PX = 20;

/** The markers of a window as they lie on the lane; the pointer asks for the same ones. */
export function markersOf(actions: readonly ActionRecord[], window: TimeWindow, geometry: Geometry): readonly Marker[] {
  return layOutMarkers(actions, window, geometry.markers.width, MARKER_SPACING_PX);
}

export function drawPhases(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  timeline: Timeline,
  window: TimeWindow,
  theme: CanvasTheme,
): void {
  if (geometry.phases.height === 0) return;
  const { phases: lane, plot } = geometry;
  clipped(context, { ...lane, height: plot.y + plot.height - lane.y }, () => {
    context.font = `500 11px ${theme.font}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    phaseBands(timeline.phases, window, lane.width).forEach((phase, index) => {
      const endSeconds = phase.endSeconds ?? Math.max(timeline.samples.lastSeconds ?? 0, phase.startSeconds);
      const from = lane.x + timeToPx(window, lane.width, phase.startSeconds);
      const to = lane.x + timeToPx(window, lane.width, endSeconds);
      if (to < lane.x || from > lane.x + lane.width) return;
      context.globalAlpha = index % 2 === 0 ? 0.16 : 0.08;
      context.fillStyle = theme.text;
      context.beginPath();
      context.roundRect(from + 0.5, lane.y, Math.max(1, to - from - 1), lane.height - 4, 3);
      context.fill();
      context.globalAlpha = 0.16;
      context.fillRect(from, plot.y, 1, plot.height);
      context.globalAlpha = 1;
      const visibleFrom = Math.max(from, lane.x) + 6;
      const room = Math.min(to, lane.x + lane.width) - visibleFrom - 4;
      const name = fitted(context, phase.name.replaceAll("_", " "), room);
      context.fillText(name, visibleFrom, lane.y + (lane.height - 4) / 2 + 0.5);
    });
  });
}

export function drawMarkers(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  markers: readonly Marker[],
  theme: CanvasTheme,
): void {
  const { markers: lane, plot } = geometry;
  const middle = lane.y + lane.height / 2;
  clipped(
    context,
    {
      x: lane.x - MARKER_OVERHANG_PX,
      y: lane.y,
      width: lane.width + 2 * MARKER_OVERHANG_PX,
      height: plot.height + lane.height,
    },
    () => {
      for (const marker of markers) {
        const x = Math.round(lane.x + marker.px) + 0.5;
        context.strokeStyle = marker.hasFailure ? theme.danger : theme.textSoft;
        context.globalAlpha = marker.hasFailure ? 0.8 : 0.4;
        context.lineWidth = 1;
        context.setLineDash([2, 3]);
        context.beginPath();
        if (marker.toPx - marker.fromPx < MARKER_PX && marker.px >= 0) {
          context.moveTo(x, middle + MARKER_PX / 2);
          context.lineTo(x, plot.y + plot.height);
        } else {
          // A group that lasted is a stretch of time, not a moment.
          context.moveTo(lane.x + Math.max(0, marker.fromPx), middle);
          context.lineTo(lane.x + Math.min(lane.width, marker.toPx), middle);
        }
        context.stroke();
        context.setLineDash([]);
        context.globalAlpha = 1;
        drawMarker(context, x, middle, marker, theme);
      }
    },
  );
}

function drawMarker(context: CanvasRenderingContext2D, x: number, y: number, marker: Marker, theme: CanvasTheme): void {
  const [first] = marker.actions;
  if (first === undefined) return;
  const subject = marker.actions.find((action) => action.error !== undefined) ?? first;
  const colour = marker.hasFailure
    ? theme.danger
    : subject.consumer === undefined
      ? theme.textSoft
      : theme.band(subject.consumer).colour;
  context.font = `600 10px ${theme.font}`;
  const count = countOf(context, marker);
  const width = widthOf(context, count) - 1;
  context.beginPath();
  context.roundRect(x - width / 2, y - MARKER_PX / 2 + 0.5, width, MARKER_PX - 1, MARKER_PX / 2);
  context.fillStyle = theme.surface;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.stroke();
  if (marker.actions.length === 1) {
    drawActionIcon(context, subject, x, y, marker.hasFailure ? theme.danger : theme.text);
    return;
  }
  context.fillStyle = marker.hasFailure ? theme.danger : theme.text;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(count, x, y + 0.5);
}

/** How many actions, as far as there is room to say it. */
function countOf(context: CanvasRenderingContext2D, { actions, roomPx }: Marker): string {
  const exact = String(actions.length);
  return [exact, "999+", "99+"].find((text) => widthOf(context, text) <= roomPx) ?? "+";
}

/** Of a marker with a count: a circle, or as long as the count asks for. */
function widthOf(context: CanvasRenderingContext2D, count: string): number {
  const textWidth = context.measureText(count).width;
  return textWidth + CIRCLE_PADDING_PX <= MARKER_PX ? MARKER_PX : textWidth + PILL_PADDING_PX;
}

/** Where a moment and a number of bytes lie on the plot. */
export interface PlotAxis {
  readonly plot: Box;
  readonly window: TimeWindow;
  readonly topBytes: number;
  readonly height: StackHeight;
}

/** The dashed line of what the device has, with its figure at the right; gives the place of that figure. */
export function drawCapacity(
  context: CanvasRenderingContext2D,
  { plot, window, topBytes, height }: PlotAxis,
  timeline: Timeline,
  theme: CanvasTheme,
): Box | undefined {
  const { samples } = timeline;
  if (samples.rows === 0) return undefined;
  const yOf = (bytes: number): number => plot.y + plot.height * (1 - bytes / topBytes);
  const grid = {
    startSeconds: window.startSeconds,
    binSeconds: spanSeconds(window) / CAPACITY_BINS,
    count: CAPACITY_BINS,
  };
  const bins = binRows(samples, grid);
  const capacities = Array.from(bins.to, (to, bin) =>
    bins.from[bin] === to ? Number.NaN : capacityAt(samples, to - 1, height),
  );
  const newest = capacityAt(samples, samples.endRow - 1, height);
  const shown = capacities.findLast((bytes) => !Number.isNaN(bytes)) ?? newest;
  const right = plot.x + plot.width - 4;
  const bottom = yOf(shown) - 3;
  const words = `capacity ${formatBytes(shown)}`;
  let width = 0;
  clipped(context, plot, () => {
    context.beginPath();
    let y = yOf(capacities.find((bytes) => !Number.isNaN(bytes)) ?? newest);
    context.moveTo(plot.x, y);
    capacities.forEach((bytes, bin) => {
      if (Number.isNaN(bytes) || yOf(bytes) === y) return;
      const x = plot.x + (bin / CAPACITY_BINS) * plot.width;
      context.lineTo(x, y);
      y = yOf(bytes);
      context.lineTo(x, y);
    });
    context.lineTo(plot.x + plot.width, y);
    context.setLineDash([6, 4]);
    context.lineWidth = 1.25;
    context.strokeStyle = theme.danger;
    context.stroke();
    context.font = `500 11px ${theme.font}`;
    context.textAlign = "right";
    context.textBaseline = "bottom";
    context.fillStyle = theme.danger;
    context.fillText(words, right, bottom);
    width = context.measureText(words).width;
  });
  return { x: right - width, y: bottom - CAPACITY_LABEL_PX, width, height: CAPACITY_LABEL_PX };
}

/** The highest moment of the window: a ring on the line and a label that says how much and who, beside what is `taken`. */
export function drawPeak(
  context: CanvasRenderingContext2D,
  { plot, window, topBytes, height }: PlotAxis,
  timeline: Timeline,
  theme: CanvasTheme,
  taken: Box | undefined,
): void {
  const peak = peakIn(timeline, window, height);
  if (peak === undefined) return;
  const x = plot.x + timeToPx(window, plot.width, peak.timeSeconds);
  const y = plot.y + plot.height * (1 - peak.bytes / topBytes);
  const [largest] = peak.holders;
  const { before } = peak.reading;
  // What failed changed nothing, so it explains no peak.
  const cause = before?.error === undefined ? before : undefined;
  const title = `Peak ${formatBytes(peak.bytes)}`;
  const detail = [
    largest && `  ${largest.consumer} ${formatBytes(largest.bytes)}`,
    cause && `  after ${cause.label}`,
  ].filter((part) => part !== undefined);

  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 11px ${theme.font}`;
  const titleWidth = context.measureText(title).width;
  context.font = `11px ${theme.font}`;
  const rest = fitted(context, detail.join("  ·"), plot.width - titleWidth - 24);
  const width = titleWidth + context.measureText(rest).width + 16;
  const left = Math.min(Math.max(plot.x + 4, x - width / 2), plot.x + plot.width - width - 4);
  const label = { x: left, y: y - 32, width, height: PEAK_LABEL_PX };
  const isRoomAbove = y - 34 > plot.y && (taken === undefined || !overlap(label, taken));
  const top = isRoomAbove ? y - 32 : y + 12;

  context.globalAlpha = 0.94;
  context.fillStyle = theme.surface;
  context.beginPath();
  context.roundRect(left, top, width, PEAK_LABEL_PX, 5);
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.stroke();
  context.beginPath();
  context.arc(x, y, 4, 0, 2 * Math.PI);
  context.fillStyle = theme.surface;
  context.fill();
  context.strokeStyle = theme.text;
  context.lineWidth = 1.75;
  context.stroke();
  context.fillStyle = theme.text;
  context.font = `600 11px ${theme.font}`;
  context.fillText(title, left + 8, top + 10.5);
  context.font = `11px ${theme.font}`;
  context.fillStyle = theme.textSoft;
  context.fillText(rest, left + 8 + titleWidth, top + 10.5);
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

export function clipped(context: CanvasRenderingContext2D, box: Box, draw: () => void): void {
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.clip();
  draw();
  context.restore();
}

/** Text cut to a width, with an ellipsis; nothing when hardly any of it fits. */
function fitted(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 3 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return end > 3 ? `${text.slice(0, end)}…` : "";
}
