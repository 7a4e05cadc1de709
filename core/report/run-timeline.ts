/**
 * A whole run as a timeline of one device, from the records of its phases: each phase holds what it held at its peak. So a run of any
 * length is one picture, without the samples of hours.
 */
import { CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../contract/timeline.ts";
import type { PlacedDevice } from "../run/placement.ts";
import { type PhaseRecord, peakOn } from "../run/records.ts";
import { SCHEDULED_CONSUMERS } from "../schedule/works.ts";
import { TimelineStore } from "../timeline/store.ts";
import type { TimeWindow } from "../timeline/time-scale.ts";
import type { Timeline } from "../timeline/timeline.ts";
import type { ReportedRun } from "./report.ts";

/** All phases that were recorded, those of a step that was not completed included; in order of time. */
export function phasesOf({ steps, openPhases }: ReportedRun): readonly PhaseRecord[] {
  return [...steps.flatMap(({ phases }) => phases), ...openPhases];
}

/** @returns undefined for a run that had not come to its first phase. */
export function runTimeline(
  run: ReportedRun,
  { name, capacityBytes }: Pick<PlacedDevice, "name" | "capacityBytes">,
): { readonly timeline: Timeline; readonly window: TimeWindow } | undefined {
  const phases = phasesOf(run).map((phase) => ({ ...phase, ...peakOn(phase, name) }));
  const [first, last] = [phases[0], phases.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  // The last one is written twice: a timeline ends at its last row.
  const moments = [
    ...phases.map((phase) => ({ timeSeconds: phase.startSeconds, phase })),
    { timeSeconds: last.endSeconds, phase: last },
  ];
  const samples = new TimelineStore({ limitRows: moments.length, gapSeconds: Number.POSITIVE_INFINITY });
  samples.append({
    consumers: SCHEDULED_CONSUMERS,
    rows: moments.length,
    samples: rowsOf(moments, capacityBytes),
    dropped: 0,
  });
  const bands = phases.map(({ work, step, startSeconds, endSeconds }) => ({
    name: work,
    step,
    startSeconds,
    endSeconds,
  }));
  return {
    timeline: { samples, actions: [], phases: bands },
    window: { startSeconds: first.startSeconds, endSeconds: last.endSeconds },
  };
}

function rowsOf(
  moments: readonly { readonly timeSeconds: number; readonly phase: PhaseRecord }[],
  capacityBytes: number,
): Float64Array {
  const columns = rowColumns({ consumers: SCHEDULED_CONSUMERS });
  const rows = new Float64Array(moments.length * columns);
  for (const [row, { timeSeconds, phase }] of moments.entries()) {
    const at = row * columns;
    // What counts against a capacity is all there is here: no context, nothing unaccounted for.
    rows.set([timeSeconds, phase.peakBytes, capacityBytes, 0, 0, phase.holders.pool ?? 0], at);
    for (const [position, consumer] of SCHEDULED_CONSUMERS.entries()) {
      const bytes = phase.holders[consumer] ?? 0;
      rows.set([bytes, bytes, bytes], at + HEADER_COLUMNS + CONSUMER_COLUMNS * position);
    }
  }
  return rows;
}
