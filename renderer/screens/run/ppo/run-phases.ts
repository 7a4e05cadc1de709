/**
 * Phases as the timeline draws them: those of runs that have ended, and of the run that has the device those of complete
 * steps and those under way.
 */
import { useMemo } from "react";
import type { PhaseSpan } from "../../../../core/run/ended-runs.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { itemAt } from "../../../../core/schedule/cursor.ts";
import type { Phase } from "../../../../core/timeline/timeline.ts";
import { PACES } from "../../../commands/run-commands.ts";
import { useRun } from "../../../state/run.ts";
import { useSession } from "../../../state/session.ts";

const NO_PHASES: readonly Phase[] = [];

export function useRunPhases(): readonly Phase[] {
  const run = useSession((store) => store.session?.run);
  const steps = useRun((store) => store.steps);
  const endedRuns = useRun((store) => store.endedRuns);
  const ended = useMemo(
    () => endedRuns.flatMap((phases) => withPace(phases.map((span) => phaseOf(span, false)))),
    [endedRuns],
  );
  const complete = useMemo(() => steps.flatMap(({ phases }) => phases.map((span) => phaseOf(span, false))), [steps]);
  const underWay = run?.phases;
  const isOpen = run !== undefined && isLastOpen(run);
  return useMemo(() => {
    const open = underWay?.map((span, at) => phaseOf(span, isOpen && at === underWay.length - 1)) ?? [];
    const phases = [...ended, ...withPace([...complete, ...open])];
    return phases.length === 0 ? NO_PHASES : phases;
  }, [ended, complete, underWay, isOpen]);
}

function phaseOf({ work, step, startSeconds, endSeconds }: PhaseSpan, isOpen: boolean): Phase {
  return { name: work, step, startSeconds, endSeconds: isOpen ? undefined : endSeconds };
}

/** No pace waits longer after an item. */
const LONGEST_WAIT_SECONDS = Math.max(...PACES.map(({ itemSeconds }) => itemSeconds)) + 0.1;

/** Phases of one run: played slowly, one lasts until the next begins; a longer wait is a person's, and no phase's. */
function withPace(phases: readonly Phase[]): readonly Phase[] {
  return phases.map((phase, at) => {
    const next = phases[at + 1];
    if (next === undefined || phase.endSeconds === undefined) return phase;
    const isPace = next.startSeconds - phase.endSeconds <= LONGEST_WAIT_SECONDS;
    return isPace ? { ...phase, endSeconds: next.startSeconds } : phase;
  });
}

/** Whether the phase that began last still has something to do. */
function isLastOpen({ phases, schedule, cursor }: RunState): boolean {
  const last = phases.at(-1);
  return last !== undefined && last.step === cursor.step && last.work === itemAt(schedule, cursor).work;
}
