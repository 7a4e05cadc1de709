/**
 * The stepper's place in a schedule, as a pure state machine: no timers, no I/O. Whoever executes does the item at the
 * cursor while the cursor is `running`, tells `advance` how it went, and looks again. Between two items lies a boundary:
 * that is where it pauses, and where a person may act by hand.
 */
import { z } from "zod";
import { assertNever, errorDataSchema, TidelineError } from "../errors.ts";
import { ACTION_KINDS, type Item, itemsOf, type Schedule, targetOf } from "./schedule.ts";
import { SCHEDULED_CONSUMERS, WORKS } from "./works.ts";

const count = z.number().int().nonnegative();

/** Where to pause by itself. */
export const breakpointSchema = z.discriminatedUnion("kind", [
  /** Before the first action of the phase. */
  z.strictObject({ kind: z.literal("phase"), work: z.enum(WORKS) }),
  /** Before every action of this kind, on this consumer; left out: any. */
  z.strictObject({
    kind: z.literal("action"),
    action: z.enum(ACTION_KINDS).optional(),
    consumer: z.enum(SCHEDULED_CONSUMERS).optional(),
  }),
  /** At the boundary after the bytes in use rose to this many. */
  z.strictObject({ kind: z.literal("memory"), usedBytes: count }),
  /** Marks a failure for want of memory as something waited for; it stops the run in any case. */
  z.strictObject({ kind: z.literal("out_of_memory") }),
]);
export type Breakpoint = z.infer<typeof breakpointSchema>;

/** How far to go. */
export const goalSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("action") }),
  z.strictObject({ kind: z.literal("phase") }),
  /** Until so many PPO steps are complete; one begun counts. */
  z.strictObject({ kind: z.literal("steps"), steps: count.min(1) }),
  z.strictObject({ kind: z.literal("play") }),
]);
export type Goal = z.infer<typeof goalSchema>;

const pauseReasonSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("not_started") }),
  z.strictObject({ kind: z.literal("reached") }),
  z.strictObject({ kind: z.literal("asked") }),
  z.strictObject({ kind: z.literal("cancelled") }),
  z.strictObject({ kind: z.literal("breakpoint"), breakpoint: breakpointSchema }),
]);
export type PauseReason = z.infer<typeof pauseReasonSchema>;

export const cursorSchema = z.strictObject({
  /** PPO steps completed. */
  step: count,
  /** The item to do next, or that is being done, in `itemsOf(schedule)`. */
  index: count,
  breakpoints: z.array(breakpointSchema),
  /** As last told. */
  usedBytes: count,
  run: z.discriminatedUnion("status", [
    z.strictObject({ status: z.literal("paused"), reason: pauseReasonSchema }),
    /** `pausing`: why it will pause at the next boundary. */
    z.strictObject({ status: z.literal("running"), goal: goalSchema, pausing: pauseReasonSchema.optional() }),
    /** The item is being cancelled; it may still complete. */
    z.strictObject({ status: z.literal("cancelling") }),
    /** The item failed and changed nothing: free something and retry, or go on with another goal. */
    z.strictObject({
      status: z.literal("failed"),
      goal: goalSchema,
      error: errorDataSchema,
      breakpoint: breakpointSchema.optional(),
    }),
  ]),
});
export type Cursor = z.infer<typeof cursorSchema>;

export type CursorEvent =
  // from the person
  | { readonly kind: "go"; readonly goal: Goal }
  | { readonly kind: "retry" }
  | { readonly kind: "pause" }
  | { readonly kind: "cancel" }
  | { readonly kind: "set_breakpoints"; readonly breakpoints: readonly Breakpoint[] }
  // from whoever executes
  | { readonly kind: "completed" }
  | { readonly kind: "failed"; readonly error: z.infer<typeof errorDataSchema> }
  | { readonly kind: "memory"; readonly usedBytes: number };

/** Before the first item of the first step. */
export const START: Cursor = {
  step: 0,
  index: 0,
  breakpoints: [],
  usedBytes: 0,
  run: { status: "paused", reason: { kind: "not_started" } },
};

/** The item at the cursor. */
export function itemAt(schedule: Schedule, { index }: Cursor): Item {
  const item = itemsOf(schedule)[index];
  if (item === undefined)
    throw new TidelineError({ code: "bad_argument", message: `the schedule has no item ${index}` });
  return item;
}

/**
 * The cursor after an event.
 * @throws TidelineError `busy` or `bad_argument` for what makes no sense now; the cursor stays as it was.
 */
export function advance(schedule: Schedule, cursor: Cursor, event: CursorEvent): Cursor {
  const { run } = cursor;
  switch (event.kind) {
    case "go":
      if (run.status === "running" || run.status === "cancelling") throw busy(run.status);
      return at(cursor, { status: "running", goal: event.goal });
    case "retry":
      if (run.status !== "failed") throw misplaced("nothing failed that could be tried again");
      return at(cursor, { status: "running", goal: run.goal });
    case "pause":
      return run.status === "running" ? pauseAtBoundary(cursor, { kind: "asked" }) : cursor;
    case "cancel":
      return run.status === "running" ? at(cursor, { status: "cancelling" }) : cursor;
    case "set_breakpoints":
      return at({ ...cursor, breakpoints: [...event.breakpoints] }, run);
    case "completed":
      return complete(schedule, cursor);
    case "failed":
      return fail(cursor, event.error);
    case "memory":
      return observe(cursor, event.usedBytes);
    default:
      return assertNever(event);
  }
}

function complete(schedule: Schedule, cursor: Cursor): Cursor {
  const { run } = cursor;
  if (run.status !== "running" && run.status !== "cancelling")
    throw misplaced("nothing was running that could complete");
  const items = itemsOf(schedule);
  const from = items[cursor.index];
  const stepDone = cursor.index + 1 >= items.length;
  const { breakpoints, usedBytes } = cursor;
  const next = {
    step: cursor.step + (stepDone ? 1 : 0),
    index: stepDone ? 0 : cursor.index + 1,
    breakpoints,
    usedBytes,
  };
  const pausedFor = (reason: PauseReason) => at(next, { status: "paused", reason });
  if (run.status === "cancelling") return pausedFor({ kind: "cancelled" });

  const to = items[next.index];
  const phaseDone = stepDone || from?.phase !== to?.phase;
  const goal = remaining(run.goal, phaseDone, stepDone);
  if (goal === undefined) return pausedFor({ kind: "reached" });
  if (run.pausing !== undefined) return pausedFor(run.pausing);
  const breakpoint = to && breakpoints.find((candidate) => stopsBefore(candidate, to, phaseDone));
  if (breakpoint !== undefined) return pausedFor({ kind: "breakpoint", breakpoint });
  return at(next, { status: "running", goal });
}

/** What is left of a goal after an item; undefined when it is reached. */
function remaining(goal: Goal, phaseDone: boolean, stepDone: boolean): Goal | undefined {
  switch (goal.kind) {
    case "action":
      return undefined;
    case "phase":
      return phaseDone ? undefined : goal;
    case "steps":
      if (!stepDone) return goal;
      return goal.steps === 1 ? undefined : { kind: "steps", steps: goal.steps - 1 };
    case "play":
      return goal;
    default:
      return assertNever(goal);
  }
}

function stopsBefore(breakpoint: Breakpoint, item: Item, phaseBegins: boolean): boolean {
  switch (breakpoint.kind) {
    case "phase":
      return phaseBegins && item.work === breakpoint.work;
    case "action":
      return (
        item.kind === "action" &&
        (breakpoint.action === undefined || breakpoint.action === item.action.kind) &&
        (breakpoint.consumer === undefined || breakpoint.consumer === targetOf(item.action))
      );
    case "memory":
    case "out_of_memory":
      return false;
    default:
      return assertNever(breakpoint);
  }
}

function fail(cursor: Cursor, error: z.infer<typeof errorDataSchema>): Cursor {
  const { run } = cursor;
  if (run.status !== "running" && run.status !== "cancelling") throw misplaced("nothing was running that could fail");
  if (error.code === "cancelled") return at(cursor, { status: "paused", reason: { kind: "cancelled" } });
  const goal: Goal = run.status === "running" ? run.goal : { kind: "action" };
  const breakpoint =
    error.code === "out_of_memory" ? cursor.breakpoints.find(({ kind }) => kind === "out_of_memory") : undefined;
  return at(cursor, { status: "failed", goal, error, ...(breakpoint && { breakpoint }) });
}

/** A threshold counts when it is crossed from below, so that going on from it is possible. */
function observe(cursor: Cursor, usedBytes: number): Cursor {
  if (usedBytes === cursor.usedBytes) return cursor;
  const seen = at({ step: cursor.step, index: cursor.index, breakpoints: cursor.breakpoints, usedBytes }, cursor.run);
  const breakpoint = cursor.breakpoints.find(
    (candidate) =>
      candidate.kind === "memory" && cursor.usedBytes < candidate.usedBytes && candidate.usedBytes <= usedBytes,
  );
  return breakpoint === undefined ? seen : pauseAtBoundary(seen, { kind: "breakpoint", breakpoint });
}

/** The first reason stays. */
function pauseAtBoundary(cursor: Cursor, reason: PauseReason): Cursor {
  const { run } = cursor;
  if (run.status !== "running" || run.pausing !== undefined) return cursor;
  return at(cursor, { ...run, pausing: reason });
}

/** Every cursor is made here, in one shape: a run makes two per item, and an engine of JavaScript is fast with one. */
function at({ step, index, breakpoints, usedBytes }: Omit<Cursor, "run">, run: Cursor["run"]): Cursor {
  return { step, index, breakpoints, usedBytes, run };
}

function busy(status: string): TidelineError {
  return new TidelineError({ code: "busy", message: `the schedule is ${status}`, hint: "pause it first" });
}

function misplaced(message: string): TidelineError {
  return new TidelineError({ code: "bad_argument", message });
}
