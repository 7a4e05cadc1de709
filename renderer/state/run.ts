/** What the PPO run that has the device has recorded so far: its completed steps. Another run starts over. */
import { create } from "zustand";
import type { StepRecord } from "../../core/run/records.ts";

/** A long run keeps its newest steps; its report, not this list, is the archive. */
const MOST_STEPS = 5000;

interface RunStore {
  /** Number of the run that the steps are of. */
  readonly run: number | undefined;
  /** In order. */
  readonly steps: readonly StepRecord[];
  /** The step whose rollouts are on screen; undefined follows the newest. */
  readonly selectedStep: number | undefined;
}

const NO_RUN: RunStore = { run: undefined, steps: [], selectedStep: undefined };

export const useRun = create<RunStore>(() => NO_RUN);

/** The session is in this run now. */
export function followRun(run: number | undefined): void {
  if (run !== useRun.getState().run) useRun.setState({ ...NO_RUN, run });
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
