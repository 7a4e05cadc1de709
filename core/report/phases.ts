/** What every phase of a schedule took and cost, over the steps of a run: the rows of the tables and bars of a report. */
import type { PhaseRecord } from "../run/records.ts";
import type { Work } from "../schedule/works.ts";
import type { Holders } from "./holders.ts";
import type { ReportedRun } from "./report.ts";
import { phasesOf } from "./run-timeline.ts";

export interface PhaseSummary {
  readonly work: Work;
  /** Means over the steps that came to it. */
  readonly workSeconds: number;
  readonly memorySeconds: number;
  /** Of all steps the highest, and who held it then. */
  readonly peakBytes: number;
  readonly holders: Holders;
}

/** In the schedule's order; phases that a run never came to are left out. */
export function summarisePhases(run: ReportedRun): readonly PhaseSummary[] {
  const all = phasesOf(run);
  const works = new Set(run.schedule.phases.map(({ work }) => work));
  return [...works].flatMap((work) => {
    const records = all.filter((record) => record.work === work);
    const [first, ...others] = records;
    if (first === undefined) return [];
    const highest = others.reduce((most, record) => (record.peakBytes > most.peakBytes ? record : most), first);
    const mean = (of: (record: PhaseRecord) => number) =>
      records.reduce((sum, record) => sum + of(record), 0) / records.length;
    return {
      work,
      workSeconds: mean(({ workSeconds }) => workSeconds),
      memorySeconds: mean(({ memorySeconds }) => memorySeconds),
      peakBytes: highest.peakBytes,
      holders: highest.holders,
    };
  });
}
