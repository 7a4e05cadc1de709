/**
 * Action markers as they fit on the lane: those that would overlap become one marker with a count, and a failure is
 * never hidden inside a group that looks well.
 */
import type { ActionRecord } from "../contract.ts";
import { type TimeWindow, timeToPx } from "./time-scale.ts";

export interface Marker {
  /** Middle of the marker, in pixels from the window's start. */
  readonly px: number;
  /** In order of time; one or more. */
  readonly actions: readonly ActionRecord[];
  readonly hasFailure: boolean;
}

/** Markers of the actions inside a window (and `sizePx` around it), at least `sizePx` apart. */
export function layOutMarkers(
  actions: readonly ActionRecord[],
  window: TimeWindow,
  widthPx: number,
  sizePx: number,
): readonly Marker[] {
  const groups: { px: number; actions: ActionRecord[] }[] = [];
  for (const action of actions) {
    const px = timeToPx(window, widthPx, action.timeSeconds);
    if (px < -sizePx || px > widthPx + sizePx) continue;
    const open = groups.at(-1);
    if (open !== undefined && px - open.px < sizePx) {
      open.actions.push(action);
    } else {
      groups.push({ px, actions: [action] });
    }
  }
  return groups.map((group) => ({
    px: group.px,
    actions: group.actions,
    hasFailure: group.actions.some((action) => action.error !== undefined),
  }));
}
