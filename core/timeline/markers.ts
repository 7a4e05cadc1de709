/**
 * Action markers as they fit on the lane: those that would overlap become one marker with a count. Where that makes crowds,
 * markers lie in cells of time instead, fewer and with room for a large count; cells do not depend on where the window
 * begins, so that what is seen does not regroup while it moves. A failure is never hidden inside a group that looks well.
 */
import type { ActionRecord } from "../contract/timeline.ts";
import { spanSeconds, type TimeWindow, timeToPx } from "./time-scale.ts";

export interface Marker {
  /** Middle of the marker, in pixels from the window's start. */
  readonly px: number;
  /** How wide it may be drawn without touching its neighbours. */
  readonly roomPx: number;
  /** Where its first and its last action lie. */
  readonly fromPx: number;
  readonly toPx: number;
  /** In order of time; one or more. */
  readonly actions: readonly ActionRecord[];
  readonly hasFailure: boolean;
}

/** More actions than this in one marker are a crowd. */
const CROWD = 24;
/** Width of a cell, and how much of it a marker may take; in sizes of a marker. */
const CELL = 4;
const CELL_ROOM = 2;

/** Markers of the actions inside a window, at least `sizePx` apart; those at its edges may stand out of it. */
export function layOutMarkers(
  actions: readonly ActionRecord[],
  window: TimeWindow,
  widthPx: number,
  sizePx: number,
): readonly Marker[] {
  const secondsPerPx = spanSeconds(window) / widthPx;
  const pxOf = (timeSeconds: number) => timeToPx(window, widthPx, timeSeconds);
  const markerOf = (own: readonly ActionRecord[], roomPx: number, place: (from: number, to: number) => number) => {
    const fromPx = pxOf(firstSeconds(own));
    const toPx = pxOf(own.at(-1)?.timeSeconds ?? Number.NaN);
    const hasFailure = own.some(({ error }) => error !== undefined);
    return { px: place(fromPx, toPx), roomPx, fromPx, toPx, actions: own, hasFailure };
  };
  const isVisible = ({ fromPx, toPx }: Marker) => toPx >= 0 && fromPx <= widthPx;

  const near = grouped(actions, (first, next) => next.timeSeconds - first.timeSeconds < sizePx * secondsPerPx)
    .map((own) => markerOf(own, sizePx, (fromPx) => fromPx))
    .filter(isVisible);
  if (near.every((marker) => marker.actions.length <= CROWD)) return near;

  // Rounded, because a window's ends are Unix times, which have few digits after the point.
  const cellSeconds = Number((CELL * sizePx * secondsPerPx).toPrecision(4));
  const cellOf = (timeSeconds: number) => Math.floor(timeSeconds / cellSeconds);
  const roomPx = CELL_ROOM * sizePx;
  return grouped(actions, (first, next) => cellOf(next.timeSeconds) === cellOf(first.timeSeconds))
    .map((own) => {
      const cell = cellOf(firstSeconds(own));
      const leastPx = pxOf(cell * cellSeconds) + roomPx / 2;
      const mostPx = pxOf((cell + 1) * cellSeconds) - roomPx / 2;
      return markerOf(own, roomPx, (fromPx, toPx) => Math.min(mostPx, Math.max(leastPx, (fromPx + toPx) / 2)));
    })
    .filter(isVisible);
}

/** Neighbours that belong to the first one of their group. */
function grouped(
  actions: readonly ActionRecord[],
  belongs: (first: ActionRecord, next: ActionRecord) => boolean,
): readonly (readonly ActionRecord[])[] {
  const groups: ActionRecord[][] = [];
  for (const action of actions) {
    const open = groups.at(-1);
    if (open?.[0] !== undefined && belongs(open[0], action)) open.push(action);
    else groups.push([action]);
  }
  return groups;
}

function firstSeconds([first]: readonly ActionRecord[]): number {
  return first?.timeSeconds ?? Number.NaN;
}
