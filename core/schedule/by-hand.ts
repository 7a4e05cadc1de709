/**
 * What a person can do to memory by hand between two items of a schedule, and what it leads to, in words: said before it
 * is done, so that nobody finds out in the next phase. Harmless is what the schedule itself makes up for.
 */
import { assertNever } from "../errors.ts";
import { formatSeconds } from "../units.ts";
import { consequenceOf, foresee, type Problem } from "./check.ts";
import { castOf, describeMissing, type MemoryState } from "./residency.ts";
import { type Action, describeAction, type Roles, type Schedule, type Swap } from "./schedule.ts";
import { isScratch, type ScheduledConsumer } from "./works.ts";

export type Aftermath =
  | { readonly kind: "refused"; readonly reason: string }
  /** There is nothing to do. */
  | { readonly kind: "already" }
  | { readonly kind: "harmless" }
  /** The run will stop at an item until `missing` is done. */
  | { readonly kind: "needed"; readonly problem: Problem }
  /** The run will stop at an item, and no action brings back what was there. */
  | { readonly kind: "lost"; readonly problem: Problem };

/** The actions that make sense for a consumer as it is, the gentle ones first. */
export function actionsByHand(state: MemoryState, consumer: ScheduledConsumer, roles: Roles): readonly Action[] {
  if (consumer === "reward.weights" && roles.reward === "rule") return [];
  const release: Action = { kind: "release", consumer, destination: "return" };
  const hold: Action = { kind: "release", consumer, destination: "hold" };
  const load: Action = { kind: "load", consumer };
  const { residency, contents } = state[consumer];
  const swaps = swapsInto(consumer, roles);
  switch (residency) {
    case "shared":
      return swaps;
    case "released":
      return [{ kind: "resume", consumer }];
    case "host":
    case "disk":
      return [load, release];
    case "resident": {
      const canBeKept = !isScratch(consumer) && contents !== "undefined";
      const offloads: readonly Action[] = canBeKept
        ? [
            { kind: "offload", consumer, to: "host" },
            { kind: "offload", consumer, to: "disk" },
          ]
        : [];
      return [...offloads, release, hold, ...swaps];
    }
    default:
      return assertNever(residency);
  }
}

function swapsInto(consumer: ScheduledConsumer, roles: Roles): readonly Swap[] {
  const from = consumer === "engine.weights" ? "policy.weights" : "engine.weights";
  const isTarget = consumer === "engine.weights" || consumer === "policy.weights";
  return isTarget ? [{ kind: "swap", from, method: "copy", ...castOf(from, roles) }] : [];
}

/** What doing `action` now, with item `index` next, leads to. What the run would stop at anyway is not blamed on it. */
export function aftermathOf(schedule: Schedule, state: MemoryState, index: number, action: Action): Aftermath {
  const consequence = consequenceOf(schedule, state, index, action);
  switch (consequence.kind) {
    case "refused": {
      const { consumer, reason, missing, hint } = consequence.refusal;
      const advice = missing.length > 0 ? `first ${describeMissing(missing)}` : hint;
      return { kind: "refused", reason: `${consumer} ${reason}${advice === undefined ? "" : `: ${advice}`}` };
    }
    case "missed": {
      const { problem } = consequence;
      if (isSameProblem(problem, foresee(schedule, state, index))) return { kind: "harmless" };
      return { kind: problem.missing.length > 0 ? "needed" : "lost", problem };
    }
    default:
      return consequence;
  }
}

function isSameProblem(one: Problem, other: Problem | undefined): boolean {
  return (
    other !== undefined &&
    one.item.index === other.item.index &&
    one.consumer === other.consumer &&
    one.inNextStep === other.inNextStep &&
    one.missing.length === other.missing.length
  );
}

/**
 * "train_policy needs it: the run stops there until you `load policy.optimizer`, about 12.0 ms".
 * @param secondsOf How long an action took when it was last done; undefined: it never was.
 */
export function aftermathWords(aftermath: Aftermath, secondsOf: (action: Action) => number | undefined): string {
  switch (aftermath.kind) {
    case "refused":
      return aftermath.reason;
    case "already":
      return "it is so already";
    case "harmless":
      return "the schedule goes on as it would";
    case "needed": {
      const { problem } = aftermath;
      const { missing } = problem;
      const known = missing.map(secondsOf).filter((seconds) => seconds !== undefined);
      const cost =
        known.length === missing.length
          ? `, about ${formatSeconds(known.reduce((sum, seconds) => sum + seconds, 0))}`
          : "";
      return `${placeOf(problem)} needs ${problem.consumer}: the run stops there until you ${describeMissing(missing)}${cost}`;
    }
    case "lost":
      return `lost for good: ${placeOf(aftermath.problem)} needs what ${aftermath.problem.consumer} holds, and nothing keeps it`;
    default:
      return assertNever(aftermath);
  }
}

function placeOf({ item, inNextStep }: Problem): string {
  const place = item.kind === "work" ? item.work : `\`${describeAction(item.action)}\` ${item.edge} ${item.work}`;
  return inNextStep ? `in the next step, ${place}` : place;
}
