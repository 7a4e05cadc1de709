/** What is kept of runs that have ended: their phases, for the timeline that goes on without them. */
import { type PhaseRecord, phaseRecordSchema } from "./records.ts";

export const phaseSpanSchema = phaseRecordSchema.pick({
  step: true,
  work: true,
  startSeconds: true,
  endSeconds: true,
});
export type PhaseSpan = Readonly<Pick<PhaseRecord, "step" | "work" | "startSeconds" | "endSeconds">>;

/** Phases of one run, in order of time. */
export type EndedRun = readonly PhaseSpan[];

/** Phases kept of all runs together: about as many as the steps of one that are kept. */
const MOST_PHASES = 20_000;

/** Ended runs with one more; the oldest phases go when there are too many. */
export function withEndedRun(runs: readonly EndedRun[], ended: EndedRun, mostPhases = MOST_PHASES): EndedRun[] {
  if (ended.length === 0) return [...runs];
  let room = mostPhases;
  const kept: EndedRun[] = [];
  for (const run of [...runs, ended].toReversed()) {
    if (room === 0) break;
    const newest = run.slice(-room).map(spanOf);
    kept.unshift(newest);
    room -= newest.length;
  }
  return kept;
}

function spanOf({ step, work, startSeconds, endSeconds }: PhaseSpan): PhaseSpan {
  return { step, work, startSeconds, endSeconds };
}
