/**
 * Whether a schedule can run, before it runs: every action and work is tried on a model of the memory, for one step and the
 * next, since a schedule is a loop. The answer is the residency at every moment, or the first problem with the action that
 * is missing. The stepper asks the same question about what is left of a step after something was done by hand.
 */
import { TidelineError } from "../errors.ts";
import {
  applyAction,
  applyWork,
  describeMissing,
  type MemoryState,
  needsOf,
  type Outcome,
  type Refusal,
  streamedConsumers,
} from "./residency.ts";
import { type Action, describeAction, describePlace, type Item, itemsOf, type Schedule, targetOf } from "./schedule.ts";
import { isScratch, NEEDS, SCHEDULED_CONSUMERS, type ScheduledConsumer, type Work } from "./works.ts";

/** An item of the step and the memory just after it; `already`: there was nothing to do. */
export interface Moment {
  readonly item: Item;
  readonly outcome: "done" | "already";
  readonly state: MemoryState;
}

/** Why an item cannot run. */
export interface Problem extends Refusal {
  readonly item: Item;
  /** It runs in the step at hand, and fails in the one after. */
  readonly inNextStep: boolean;
  readonly message: string;
  readonly hint: string;
}

export type Check =
  /** `start` is the memory before every step and, the schedule being a loop, after it. */
  | { readonly ok: true; readonly start: MemoryState; readonly moments: readonly Moment[] }
  | { readonly ok: false; readonly problem: Problem };

/**
 * Tries a schedule for two steps.
 * @param initial The memory before the first one; left out, what the step before would have left.
 */
export function checkSchedule(schedule: Schedule, initial: MemoryState = lastStepLeaves(schedule)): Check {
  const first = run(schedule, initial, 0, false);
  if (!first.ok) {
    const { consumer, code } = first.problem;
    if (code === "shared" || initial[consumer].contents !== "undefined") return first;
    // The step before lost it: where that one misses it already lies the fault.
    const before = run(schedule, everythingThere(schedule), 0, false);
    return before.ok || before.problem.consumer !== consumer ? first : before;
  }
  const second = run(schedule, first.end, 0, true);
  return second.ok ? { ok: true, start: first.end, moments: second.moments } : second;
}

/** What the rest of this step, from item `index` on, and the whole next one would run into; undefined when nothing. */
export function foresee(schedule: Schedule, state: MemoryState, index: number): Problem | undefined {
  const rest = run(schedule, state, index, false);
  if (!rest.ok) return rest.problem;
  const next = run(schedule, rest.end, 0, true);
  return next.ok ? undefined : next.problem;
}

export type Consequence =
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "already" | "harmless" }
  /** Which item will miss it, and in `missing` what brings it back. */
  | { readonly kind: "missed"; readonly problem: Problem };

/** What doing `action` by hand now, with item `index` next, would lead to. Ask before doing it. */
export function consequenceOf(schedule: Schedule, state: MemoryState, index: number, action: Action): Consequence {
  const outcome = applyAction(state, action, schedule.roles);
  if (outcome.kind === "refused") return outcome;
  if (outcome.kind === "already") return { kind: "already" };
  const problem = foresee(schedule, outcome.state, index);
  return problem === undefined ? { kind: "harmless" } : { kind: "missed", problem };
}

/** A problem as the error that stops a run. */
export function problemError(problem: Problem): TidelineError {
  const { code, message, hint } = problem;
  return new TidelineError({ code, message, hint, field: fieldOf(problem.item) });
}

function fieldOf(item: Item): string {
  return item.kind === "work" ? `phases[${item.phase}].work` : `phases[${item.phase}].${item.edge}[${item.position}]`;
}

// ---------------------------------------------------------------------------------------------------------------------
// Running it on the model

type Run =
  | { readonly ok: true; readonly moments: readonly Moment[]; readonly end: MemoryState }
  | { readonly ok: false; readonly problem: Problem };

function run(schedule: Schedule, initial: MemoryState, fromIndex: number, inNextStep: boolean): Run {
  const items = itemsOf(schedule);
  const moments: Moment[] = [];
  let state = initial;
  for (const item of items.slice(fromIndex)) {
    const outcome = attempt(state, item, schedule);
    if (outcome.kind === "refused") {
      return { ok: false, problem: explain(item, outcome.refusal, items, inNextStep) };
    }
    state = outcome.state;
    moments.push({ item, outcome: outcome.kind, state });
  }
  return { ok: true, moments, end: state };
}

function attempt(state: MemoryState, item: Item, { roles }: Schedule): Outcome {
  return item.kind === "work" ? applyWork(state, item.work, roles) : applyAction(state, item.action, roles);
}

function explain(item: Item, refusal: Refusal, items: readonly Item[], inNextStep: boolean): Problem {
  const { consumer, reason, missing, hint } = refusal;
  const subject =
    item.kind === "work" ? `phase ${item.work}` : `\`${describeAction(item.action)}\` (${describePlace(item)})`;
  const what =
    item.kind === "action" && targetOf(item.action) === consumer
      ? `${subject} cannot be done: ${consumer} ${reason}`
      : `${subject} needs ${consumer}, which ${reason}`;
  const message = inNextStep ? `in the next step, ${what}` : what;
  const problem = (advice: string): Problem => ({ ...refusal, item, inNextStep, message, hint: advice });

  if (missing.length > 0) return problem(`add ${describeMissing(missing)} before it`);
  if (hint !== undefined) return problem(hint);
  if (refusal.code === "shared" || refusal.code === "already_released") return problem("take this action out");
  const lost = items.find((other) => other.kind === "action" && isReleaseOf(other.action, consumer));
  if (lost !== undefined) {
    return problem(
      `what it held is lost since \`release ${consumer}\` (${describePlace(lost)}): offload it there instead`,
    );
  }
  return problem(`what ${consumer} held is lost, and only a new run has it again: offload it instead of releasing it`);
}

function isReleaseOf(action: Action, consumer: ScheduledConsumer): boolean {
  return action.kind === "release" && action.consumer === consumer;
}

/**
 * The memory that a step finds: everything there and defined, except what the last action on it left elsewhere and what is
 * never there.
 */
function lastStepLeaves(schedule: Schedule): MemoryState {
  const state = everythingThere(schedule);
  for (const item of itemsOf(schedule)) {
    if (item.kind === "work") continue;
    const { action } = item;
    const consumer = targetOf(action);
    switch (action.kind) {
      case "release":
        state[consumer] = { residency: "released", contents: "undefined" };
        break;
      case "offload":
        // What has no contents cannot be offloaded: it is still there when the check comes to that action.
        if (isScratch(consumer)) break;
        state[consumer] = { residency: action.to, contents: "defined", backup: { where: action.to, clean: true } };
        break;
      case "swap":
        state[consumer] = { residency: action.method === "share" ? "shared" : "resident", contents: "defined" };
        break;
      case "resume":
      case "load":
        state[consumer] = EVERYTHING_RESIDENT[consumer];
    }
  }
  return state;
}

function everythingThere({ roles }: Schedule): Record<ScheduledConsumer, MemoryState[ScheduledConsumer]> {
  const state = { ...EVERYTHING_RESIDENT };
  for (const consumer of streamedConsumers(roles)) {
    state[consumer] = { residency: "host", contents: "defined", backup: { where: "host", clean: true } };
  }
  return state;
}

// TypeScript cannot see that a list of keys makes a complete record.
const EVERYTHING_RESIDENT = Object.fromEntries(
  SCHEDULED_CONSUMERS.map((consumer) => [
    consumer,
    { residency: "resident", contents: isScratch(consumer) ? "undefined" : "defined" },
  ]),
) as Record<ScheduledConsumer, MemoryState[ScheduledConsumer]>;

// ---------------------------------------------------------------------------------------------------------------------
// What the answer is made into

export interface ResidencyCell {
  readonly residency: MemoryState[ScheduledConsumer]["residency"];
  readonly contents: MemoryState[ScheduledConsumer]["contents"];
  /** What the phase's work does with it. */
  readonly use: "none" | "read" | "written" | "scratch";
}
export interface ResidencyRow {
  readonly phase: number;
  readonly work: Work;
  readonly cells: Readonly<Record<ScheduledConsumer, ResidencyCell>>;
}

/** Phase × consumer, at the end of each phase's work. */
export function residencyMatrix(schedule: Schedule, moments: readonly Moment[]): readonly ResidencyRow[] {
  return moments.flatMap(({ item, state }) => {
    if (item.kind === "action") return [];
    const { reads, scratch } = needsOf(item.work, schedule.roles);
    const { writes } = NEEDS[item.work];
    const use = (consumer: ScheduledConsumer): ResidencyCell["use"] =>
      writes.includes(consumer)
        ? "written"
        : reads.includes(consumer)
          ? "read"
          : scratch.includes(consumer)
            ? "scratch"
            : "none";
    const cells = Object.fromEntries(
      SCHEDULED_CONSUMERS.map((consumer) => {
        const { residency, contents } = state[consumer];
        return [consumer, { residency, contents, use: use(consumer) }];
      }),
    ) as ResidencyRow["cells"];
    return [{ phase: item.phase, work: item.work, cells }];
  });
}

/** Bytes of each consumer while it is resident. */
export type Sizes = Readonly<Record<ScheduledConsumer, number>>;

/** Bytes on the device in one state of the memory. */
export function residentBytes(state: MemoryState, sizes: Sizes): number {
  return SCHEDULED_CONSUMERS.reduce((sum, name) => sum + (state[name].residency === "resident" ? sizes[name] : 0), 0);
}

/** Bytes on the device at most during an item: what is there after it, and the bucket that a swap passes through. */
export function momentBytes({ item, state }: Moment, sizes: Sizes): number {
  const swap = item.kind === "action" && item.action.kind === "swap" ? item.action : undefined;
  // What is written lies in the bucket as the other of the two stores it; a cast follows.
  const bucketBytes = swap?.method === "bucketed" ? Math.min(swap.bucketBytes ?? 0, sizes[swap.from]) : 0;
  return residentBytes(state, sizes) + bucketBytes;
}
