/** The phases of the run that has the device, as the timeline draws them: those of complete steps, and those under way. */
import { useMemo } from "react";
import type { PhaseRecord } from "../../../../core/run/records.ts";
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
  const complete = useMemo(
    () => steps.flatMap(({ phases }) => phases.map((record) => phaseOf(record, false))),
    [steps],
  );
  const underWay = run?.phases;
  const isOpen = run !== undefined && isLastOpen(run);
  return useMemo(() => {
    const open = underWay?.map((record, at) => phaseOf(record, isOpen && at === underWay.length - 1)) ?? [];
    const phases = [...complete, ...open];
    return phases.length === 0 ? NO_PHASES : phases.map((phase, at) => withPace(phase, phases[at + 1]));
  }, [complete, underWay, isOpen]);
}

function phaseOf({ work, step, startSeconds, endSeconds }: PhaseRecord, isOpen: boolean): Phase {
  return { name: work, step, startSeconds, endSeconds: isOpen ? undefined : endSeconds };
}

/** No pace waits longer after an item. */
const LONGEST_WAIT_SECONDS = Math.max(...PACES.map(({ itemSeconds }) => itemSeconds)) + 0.1;

/** Played slowly, a phase lasts until the next one begins; a longer wait is a person's, and no phase's. */
function withPace(phase: Phase, next: Phase | undefined): Phase {
  if (next === undefined || phase.endSeconds === undefined) return phase;
  return next.startSeconds - phase.endSeconds <= LONGEST_WAIT_SECONDS
    ? { ...phase, endSeconds: next.startSeconds }
    : phase;
}

/** Whether the phase that began last still has something to do. */
function isLastOpen({ phases, schedule, cursor }: RunState): boolean {
  const last = phases.at(-1);
  return last !== undefined && last.step === cursor.step && last.work === itemAt(schedule, cursor).work;
}
