/**
 * How high another timeline of the same phases stood, laid over this one: each of its phases is stretched to where the phase
 * of the same name lies here. Its samples are binned to the columns that are drawn, so that none of their extremes is lost.
 */
import { binRows, binSeries } from "./bins.ts";
import { SERIES, type TimelineStore } from "./store.ts";
import { spanSeconds, type TimeWindow } from "./time-scale.ts";
import type { Phase } from "./timeline.ts";

/** A phase of the other timeline. */
export interface OutlinedPhase {
  readonly name: string;
  /** On its own clock. */
  readonly own: TimeWindow;
  /** Its highest moment, which samples may have missed. */
  readonly peakBytes: number;
}

export interface Outline {
  readonly samples: TimelineStore;
  readonly stretches: readonly Stretch[];
}

export interface Stretch extends OutlinedPhase {
  /** On the clock of the timeline that it lies over. */
  readonly over: TimeWindow;
}

/** What has no phase of its name is left out. */
export function outlineOver(
  phases: readonly Phase[],
  others: readonly OutlinedPhase[],
  samples: TimelineStore,
): Outline {
  const stretches = phases.flatMap(({ name, startSeconds, endSeconds }): readonly Stretch[] => {
    const other = others.find((phase) => phase.name === name);
    return other === undefined || endSeconds === undefined ? [] : [{ ...other, over: { startSeconds, endSeconds } }];
  });
  return { samples, stretches };
}

/** What regions held, column by column; NaN where nothing was sampled. */
export interface OutlineColumns {
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** The samples of a stretch in so many columns of equal length. */
export function outlineColumns({ samples }: Outline, { own }: Stretch, columns: number): OutlineColumns {
  const grid = { startSeconds: own.startSeconds, binSeconds: spanSeconds(own) / columns, count: columns };
  return binSeries(samples, binRows(samples, grid), SERIES.regions);
}
