/**
 * What the PPO run that has the device has recorded so far: its completed steps. Another run starts over; of those before
 * it the phases are kept.
 */
import { create } from "zustand";
import { type EndedRun, withEndedRun } from "../../core/run/ended-runs.ts";
import type { StepRecord } from "../../core/run/records.ts";
import type { RunState } from "../../core/run/state.ts";

/** A long run keeps its newest steps; its report, not this list, is the archive. */
const MOST_STEPS = 5000;

interface RunStore {
  /** Number of the run that the steps are of. */
  readonly run: number | undefined;
  /** In order. */
  readonly steps: readonly StepRecord[];
  /** The step whose rollouts are on screen; undefined follows the newest. */
  readonly selectedStep: number | undefined;
  /** Phases of runs before it. */
  readonly endedRuns: readonly EndedRun[];
}

const NO_RUN = { run: undefined, steps: [], selectedStep: undefined } as const;

export const useRun = create<RunStore>(() => ({ ...NO_RUN, endedRuns: [] }));

/** The session is in this run now. */
export function followRun(run: number | undefined): void {
  if (run !== useRun.getState().run) useRun.setState({ ...NO_RUN, run });
}

/** This run is over as it was last heard of: its phases stay on the timeline. */
export function endRun({ id, phases }: RunState): void {
  useRun.setState(({ run, steps, endedRuns }) => {
    const complete = run === id ? steps.flatMap((step) => step.phases) : [];
    return { endedRuns: withEndedRun(endedRuns, [...complete, ...phases]) };
  });
}

export function replaceEndedRuns(endedRuns: readonly EndedRun[]): void {
  useRun.setState({ endedRuns });
}

export function addStep(run: number, step: StepRecord): void {
  followRun(run);
  useRun.setState(({ steps }) => ({ steps: merged(steps, [step]) }));
}

/** What the session kept, after a connection; a step that was recorded meanwhile stays. */
export function replaceSteps(run: number | undefined, kept: readonly StepRecord[]): void {
  followRun(run);
  useRun.setState(({ steps }) => ({ steps: merged(kept, steps) }));
}

export function selectStep(step: number | undefined): void {
  useRun.setState({ selectedStep: step });
}

/** The step on screen: the selected one, else the newest. */
export function shownStep(steps: readonly StepRecord[], selected: number | undefined): StepRecord | undefined {
  return steps.find(({ step }) => step === selected) ?? steps.at(-1);
}

function merged(steps: readonly StepRecord[], others: readonly StepRecord[]): readonly StepRecord[] {
  const last = steps.at(-1)?.step ?? -1;
  const fresh = others.filter(({ step }) => step > last);
  return [...steps, ...fresh].slice(-MOST_STEPS);
}
