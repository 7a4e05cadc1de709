/**
 * A timeline: consumers × time, with the phases and actions that explain it. The planner predicts one, the stepper
 * executes one and the recorder records one; all three are this type, so one component draws them, a plan lies over
 * what was measured, and two runs subtract.
 */
import type { ActionRecord } from "../contract/timeline.ts";
import type { Outline } from "./outline.ts";
import type { TimelineStore } from "./store.ts";
import type { TimeWindow } from "./time-scale.ts";

/** A named stretch of a step, e.g. `rollout`; one that is running has no end yet. */
export interface Phase {
  readonly name: string;
  readonly startSeconds: number;
  readonly endSeconds: number | undefined;
  /** The PPO step it belongs to, counted from 0. */
  readonly step?: number;
}

export interface Timeline {
  readonly samples: TimelineStore;
  /** In order of time. */
  readonly actions: readonly ActionRecord[];
  /** In order of time. */
  readonly phases: readonly Phase[];
  /** What is drawn over it. */
  readonly over?: Outline;
}

/** When an action began; `timeSeconds` is when it ended. */
export function actionStartSeconds(action: ActionRecord): number {
  return action.timeSeconds - action.milliseconds / 1000;
}

/** The phase that was running at a time; the later one where two meet. */
export function phaseAt(phases: readonly Phase[], timeSeconds: number): Phase | undefined {
  return phases.findLast(
    (phase) => phase.startSeconds <= timeSeconds && timeSeconds <= (phase.endSeconds ?? Number.POSITIVE_INFINITY),
  );
}

/** The last action that had ended at a time, and the first one that ended after it. */
export function actionsAround(
  actions: readonly ActionRecord[],
  timeSeconds: number,
): { readonly before: ActionRecord | undefined; readonly after: ActionRecord | undefined } {
  return {
    before: actions.findLast((action) => action.timeSeconds <= timeSeconds),
    after: actions.find((action) => action.timeSeconds > timeSeconds),
  };
}

/** From the first sample kept to the last; undefined for an empty timeline. */
export function extentOf({ samples }: Pick<Timeline, "samples">): TimeWindow | undefined {
  const { firstSeconds, lastSeconds } = samples;
  if (firstSeconds === undefined || lastSeconds === undefined) return undefined;
  return { startSeconds: firstSeconds, endSeconds: lastSeconds };
}
