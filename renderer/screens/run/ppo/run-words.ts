/** Where a run stands and why, in words. */
import { assertNever } from "../../../../core/errors.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { type Breakpoint, type Goal, itemAt, type PauseReason } from "../../../../core/schedule/cursor.ts";
import { describeAction } from "../../../../core/schedule/schedule.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { formatBytes } from "../../../../core/units.ts";
import type { Tone } from "../../../components/chip.tsx";

export const WORK_WORDS: Readonly<Record<Work, string>> = {
  rollout: "the engine samples responses",
  score_policy: "log-probs of the policy",
  score_reference: "log-probs of the reference",
  score_reward: "rewards of the responses",
  score_critic: "values of the critic",
  advantages: "advantages and returns",
  train_critic: "updates of the critic",
  train_policy: "updates of the policy",
  update_weights: "the engine takes up the new weights",
};

/** "step 3 · train_policy · before: load policy.optimizer" */
export function placeWords({ schedule, cursor }: RunState): string {
  const item = itemAt(schedule, cursor);
  const what = item.kind === "work" ? "work" : `${item.edge}: ${describeAction(item.action)}`;
  return `step ${cursor.step + 1} · ${item.work} · ${what}`;
}

export function runStatus({ cursor: { run } }: RunState): { readonly text: string; readonly tone: Tone } {
  switch (run.status) {
    case "paused":
      return { text: run.reason.kind === "not_started" ? "ready" : "paused", tone: "warning" };
    case "running":
      return { text: run.pausing === undefined ? "running" : "pausing", tone: "accent" };
    case "cancelling":
      return { text: "cancelling", tone: "accent" };
    case "failed":
      return { text: run.error.code === "out_of_memory" ? "out of memory" : "failed", tone: "danger" };
    default:
      return assertNever(run);
  }
}

/** Why it stands where it stands, or how far it goes. */
export function whyWords({ cursor: { run } }: RunState): string {
  switch (run.status) {
    case "paused":
      return reasonWords(run.reason);
    case "running":
      return run.pausing === undefined ? goalWords(run.goal) : "pauses when what is under way is done";
    case "cancelling":
      return "undoes what is under way";
    case "failed":
      if (run.breakpoint !== undefined) return "the out of memory that a breakpoint waited for; nothing was changed";
      return run.error.code === "out_of_memory"
        ? "nothing was changed: free something, and retry"
        : "nothing was changed: put it right, and retry";
    default:
      return assertNever(run);
  }
}

function reasonWords(reason: PauseReason): string {
  switch (reason.kind) {
    case "not_started":
      return "nothing has run yet";
    case "reached":
      return "went as far as it was told";
    case "asked":
      return "paused by hand";
    case "cancelled":
      return "cancelled: what was under way is undone";
    case "breakpoint":
      return `breakpoint: ${breakpointWords(reason.breakpoint)}`;
    default:
      return assertNever(reason);
  }
}

function goalWords(goal: Goal): string {
  switch (goal.kind) {
    case "action":
      return "one action or work";
    case "phase":
      return "to the next phase";
    case "steps":
      return goal.steps === 1 ? "to the next step" : `${goal.steps} more steps`;
    case "play":
      return "goes on until something stops it";
    default:
      return assertNever(goal);
  }
}

/** "before train_policy", "before load policy.optimizer", "memory rises to 10.0 MiB" */
export function breakpointWords(breakpoint: Breakpoint): string {
  switch (breakpoint.kind) {
    case "phase":
      return `before ${breakpoint.work}`;
    case "action": {
      const { action, consumer } = breakpoint;
      return `before ${action ?? "every action"}${consumer === undefined ? "" : `${action === undefined ? " on" : ""} ${consumer}`}`;
    }
    case "memory":
      return `memory rises to ${formatBytes(breakpoint.usedBytes)}`;
    case "out_of_memory":
      return "out of memory";
    default:
      return assertNever(breakpoint);
  }
}
