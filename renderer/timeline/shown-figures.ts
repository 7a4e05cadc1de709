/** Which of the figures of a moment are shown: those of what the timeline draws, and of nothing else. */
import { emptyExtremes } from "../../core/timeline/column.ts";
import { type Difference, differenceBetween, type Reading, readingAt } from "../../core/timeline/readout.ts";
import { bandsOf } from "../../core/timeline/stack.ts";
import type { Series, TimelineStore } from "../../core/timeline/store.ts";
import type { TimeWindow } from "../../core/timeline/time-scale.ts";
import type { Timeline } from "../../core/timeline/timeline.ts";
import type { TimelineViewState } from "./view.ts";

/** The figures of what is drawn: the whole device, or its regions alone. */
export function shownFigures(
  reading: Reading,
  { height }: TimelineViewState,
): {
  readonly bytes: number;
  readonly words: string;
  readonly freeBytes: number;
  readonly ofBytes: number;
} {
  const { usedBytes, freeBytes, totalBytes, regionBytes, regionCapacityBytes } = reading;
  return height === "regions"
    ? {
        bytes: regionBytes,
        words: "held",
        freeBytes: Math.max(0, regionCapacityBytes - regionBytes),
        ofBytes: regionCapacityBytes,
      }
    : { bytes: usedBytes, words: "used", freeBytes, ofBytes: totalBytes };
}

/**
 * Those that are drawn. A recording knows every consumer that there ever was: a region that holds nothing in all of the
 * window, such as those of a run that ended, would only push others out of sight.
 */
export function shownConsumers(
  { consumers }: Reading,
  { samples }: Timeline,
  { height, window }: TimelineViewState,
  isLive: boolean,
): Reading["consumers"] {
  const bands = new Map(bandsOf(samples, height).map((band) => [band.consumer, band]));
  return consumers.filter(({ consumer, committedBytes }) => {
    const band = bands.get(consumer);
    if (band === undefined) return false;
    // What is no region is part of every live picture, also while there is none of it.
    const isAlwaysThere = isLive && band.parts === undefined;
    return isAlwaysThere || committedBytes > 0 || holdsWithin(samples, band.committed, window);
  });
}

function holdsWithin(samples: TimelineStore, series: Series, window: TimeWindow): boolean {
  const from = samples.rowAtOrAfter(window.startSeconds) - 1;
  const to = samples.rowAtOrAfter(window.endSeconds);
  const found = emptyExtremes();
  samples.extremes(series, from, to, found);
  return found.max > 0;
}

export interface BetweenCursors {
  readonly difference: Difference;
  /** Of the figures that are shown. */
  readonly shownBytes: number;
}

export function differenceOf(timeline: Timeline, state: TimelineViewState): BetweenCursors | undefined {
  const { cursorA, cursorB } = state;
  if (cursorA === undefined || cursorB === undefined) return undefined;
  const a = readingAt(timeline, cursorA);
  const b = readingAt(timeline, cursorB);
  if (a === undefined || b === undefined) return undefined;
  const shownBytes = shownFigures(b, state).bytes - shownFigures(a, state).bytes;
  return { difference: differenceBetween(a, b), shownBytes };
}
