/**
 * Action markers as they fit on the lane: those that would overlap become one marker with a count, many of them fewer and
 * wider ones, and a failure is never hidden inside a group that looks well. Groups begin at the first action there is, not
 * at the window's edge, so that panning does not regroup what is seen.
 */
import type { ActionRecord } from "../contract.ts";
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

/** More actions than this in one marker are a crowd: then markers lie further apart. */
const CROWD = 24;
/** How far apart groups begin, and how much of that a marker may take; in sizes of a marker. */
const SPACINGS = [
  { apart: 1, room: 1 },
  { apart: 2, room: 1 },
  { apart: 4, room: 2 },
] as const;

/** Actions [from, to) that are one marker. */
interface Group {
  readonly from: number;
  readonly to: number;
}

/** Markers whose middle lies inside a window, at least `sizePx` apart. */
export function layOutMarkers(
  actions: readonly ActionRecord[],
  window: TimeWindow,
  widthPx: number,
  sizePx: number,
): readonly Marker[] {
  const secondsPerPx = spanSeconds(window) / widthPx;
  let markers: readonly Marker[] = [];
  for (const { apart, room } of SPACINGS) {
    const apartPx = apart * sizePx;
    const roomPx = room * sizePx;
    markers = groupsOf(actions, apartPx * secondsPerPx).flatMap(({ from, to }): Marker | [] => {
      const fromPx = timeToPx(window, widthPx, actions[from]?.timeSeconds ?? Number.NaN);
      const toPx = timeToPx(window, widthPx, actions[to - 1]?.timeSeconds ?? Number.NaN);
      const px = Math.min((fromPx + toPx) / 2, fromPx + apartPx - roomPx);
      if (!(px >= 0 && px <= widthPx)) return [];
      const own = actions.slice(from, to);
      return { px, roomPx, fromPx, toPx, actions: own, hasFailure: own.some(({ error }) => error !== undefined) };
    });
    if (markers.every((marker) => marker.actions.length <= CROWD)) break;
  }
  return markers;
}

function groupsOf(actions: readonly ActionRecord[], apartSeconds: number): readonly Group[] {
  const starts: number[] = [];
  let openSeconds = Number.NEGATIVE_INFINITY;
  for (const [index, { timeSeconds }] of actions.entries()) {
    if (timeSeconds - openSeconds < apartSeconds) continue;
    starts.push(index);
    openSeconds = timeSeconds;
  }
  return starts.map((from, at) => ({ from, to: starts[at + 1] ?? actions.length }));
}
