/** Stepping by hand: where the cursor pauses, and that it goes on from there, whatever happened. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import {
  advance,
  type Breakpoint,
  type Cursor,
  type CursorEvent,
  cursorSchema,
  type Goal,
  itemAt,
  START,
} from "../../../core/schedule/cursor.ts";
import { describePlace, itemsOf } from "../../../core/schedule/schedule.ts";
import { EVERYTHING, ROLES } from "./support.ts";

const SCHEDULE = buildSchedule(EVERYTHING, ROLES);
const ITEMS = itemsOf(SCHEDULE);

const send = (cursor: Cursor, ...events: readonly CursorEvent[]): Cursor =>
  events.reduce((at, event) => advance(SCHEDULE, at, event), cursor);
const go = (goal: Goal): CursorEvent => ({ kind: "go", goal });
const COMPLETED: CursorEvent = { kind: "completed" };
const PLAY = go({ kind: "play" });
const failure = (code: "out_of_memory" | "cancelled" | "internal"): CursorEvent => ({
  kind: "failed",
  error: { code, message: "no" },
});

/** Completes items for as long as it runs; the places of those done. */
function play(cursor: Cursor, most = 1000): { readonly cursor: Cursor; readonly done: readonly string[] } {
  const done: string[] = [];
  let at = cursor;
  while (at.run.status === "running" && done.length < most) {
    done.push(`${at.step}: ${describePlace(itemAt(SCHEDULE, at))}`);
    at = send(at, COMPLETED);
  }
  return { cursor: at, done };
}

const reached = { status: "paused", reason: { kind: "reached" } };
const breakAt = (breakpoint: Breakpoint): CursorEvent => ({ kind: "set_breakpoints", breakpoints: [breakpoint] });

describe("goals", () => {
  it("the next action is one item", () => {
    const { cursor, done } = play(send(START, go({ kind: "action" })));
    expect(done).toEqual(["0: before rollout, action 1"]);
    expect(cursor).toMatchObject({ step: 0, index: 1, run: reached });
  });

  it("the next phase is what is left of this one", () => {
    const first = play(send(START, go({ kind: "action" }))).cursor;
    const { cursor, done } = play(send(first, go({ kind: "phase" })));
    expect(done).toEqual(["0: rollout", "0: after rollout, action 1"]);
    expect(itemAt(SCHEDULE, cursor)).toMatchObject({ work: "score_policy", edge: "before", position: 0 });
  });

  it("a PPO step ends at the next one's beginning", () => {
    const begun = play(send(START, go({ kind: "phase" }))).cursor;
    const { cursor } = play(send(begun, go({ kind: "steps", steps: 1 })));
    expect(cursor).toMatchObject({ step: 1, index: 0, run: reached });
    const three = play(send(cursor, go({ kind: "steps", steps: 3 })));
    expect(three.cursor).toMatchObject({ step: 4, index: 0, run: reached });
    expect(three.done).toHaveLength(3 * ITEMS.length);
  });

  it("a phase ends with its step, even when it is the only one", () => {
    const alone = { ...SCHEDULE, phases: SCHEDULE.phases.slice(0, 1) };
    const done = [0, 1, 2].reduce(
      (cursor) => advance(alone, cursor, COMPLETED),
      advance(alone, START, go({ kind: "phase" })),
    );
    expect(done).toMatchObject({ step: 1, index: 0, run: reached });
  });

  it("play goes on until it is paused, at a boundary", () => {
    const { cursor } = play(send(START, PLAY), 100);
    expect(cursor.run.status).toBe("running");
    const pausing = send(cursor, { kind: "pause" });
    expect(pausing.run.status).toBe("running");
    expect(send(pausing, COMPLETED).run).toEqual({ status: "paused", reason: { kind: "asked" } });
  });

  it("cannot be given while it runs", () => {
    expect(() => send(START, PLAY, PLAY)).toThrow(expect.objectContaining({ code: "busy" }));
    expect(() => send(START, COMPLETED)).toThrow(/nothing was running/);
    expect(() => send(START, { kind: "retry" })).toThrow(/nothing failed/);
  });
});

describe("breakpoints", () => {
  it("stop before the first action of a phase, and do not stop there again when it goes on", () => {
    const breakpoint: Breakpoint = { kind: "phase", work: "train_policy" };
    const first = play(send(START, breakAt(breakpoint), PLAY)).cursor;
    expect(first.run).toEqual({ status: "paused", reason: { kind: "breakpoint", breakpoint } });
    expect(itemAt(SCHEDULE, first)).toMatchObject({ work: "train_policy", edge: "before", position: 0 });
    expect(play(send(first, PLAY)).cursor).toMatchObject({ step: 1, index: first.index });
  });

  it("stop before an action by its kind, its consumer, or both", () => {
    const stops = (breakpoint: Breakpoint) => {
      const cursor = play(send(START, breakAt(breakpoint), PLAY)).cursor;
      return describePlace(itemAt(SCHEDULE, cursor));
    };
    expect(stops({ kind: "action", action: "load" })).toBe("before score_reference, action 1");
    expect(stops({ kind: "action", consumer: "policy.gradients" })).toBe("before train_policy, action 1");
    expect(stops({ kind: "action", action: "swap", consumer: "engine.weights" })).toBe(
      "before update_weights, action 2",
    );
  });

  it("stop at the boundary after memory rose to a threshold, once per crossing", () => {
    const breakpoint: Breakpoint = { kind: "memory", usedBytes: 100 };
    const crossing = send(
      START,
      breakAt(breakpoint),
      PLAY,
      { kind: "memory", usedBytes: 99 },
      { kind: "memory", usedBytes: 100 },
    );
    const stopped = send(crossing, { kind: "memory", usedBytes: 20 }, COMPLETED);
    expect(stopped.run).toEqual({ status: "paused", reason: { kind: "breakpoint", breakpoint } });
    const above = send(
      stopped,
      { kind: "memory", usedBytes: 150 },
      PLAY,
      { kind: "memory", usedBytes: 160 },
      COMPLETED,
    );
    expect(above.run.status).toBe("running");
  });

  it("mark an out-of-memory that was waited for", () => {
    const breakpoint: Breakpoint = { kind: "out_of_memory" };
    expect(send(START, breakAt(breakpoint), PLAY, failure("out_of_memory")).run).toMatchObject({
      status: "failed",
      breakpoint,
    });
    expect(send(START, breakAt(breakpoint), PLAY, failure("internal")).run).not.toHaveProperty("breakpoint");
  });
});

describe("failing and cancelling", () => {
  it("a failed item is tried again with the goal it had, or with another", () => {
    const failed = send(START, go({ kind: "steps", steps: 1 }), COMPLETED, failure("out_of_memory"));
    expect(failed).toMatchObject({ step: 0, index: 1, run: { status: "failed", error: { code: "out_of_memory" } } });
    expect(play(send(failed, { kind: "retry" })).cursor).toMatchObject({ step: 1, index: 0, run: reached });
    expect(play(send(failed, go({ kind: "action" }))).cursor).toMatchObject({ index: 2, run: reached });
  });

  it("a cancelled item is done again later, one that completed all the same is not", () => {
    const cancelling = send(START, PLAY, COMPLETED, { kind: "cancel" });
    expect(cancelling.run.status).toBe("cancelling");
    const paused = { status: "paused", reason: { kind: "cancelled" } };
    expect(send(cancelling, failure("cancelled"))).toMatchObject({ index: 1, run: paused });
    expect(send(cancelling, COMPLETED)).toMatchObject({ index: 2, run: paused });
    expect(send(cancelling, failure("out_of_memory")).run.status).toBe("failed");
  });
});

it("does every item of every step once and in order, whatever a person does on the way", () => {
  const anyEvent: fc.Arbitrary<CursorEvent> = fc.oneof(
    { weight: 6, arbitrary: fc.constant(COMPLETED) },
    fc.constantFrom<CursorEvent>(
      { kind: "pause" },
      { kind: "cancel" },
      { kind: "retry" },
      failure("internal"),
      failure("cancelled"),
    ),
    fc.constantFrom<CursorEvent>(PLAY, go({ kind: "action" }), go({ kind: "phase" }), go({ kind: "steps", steps: 2 })),
    fc.nat(200).map((usedBytes): CursorEvent => ({ kind: "memory", usedBytes })),
    fc
      .constantFrom<Breakpoint>(
        { kind: "phase", work: "advantages" },
        { kind: "action", action: "swap" },
        { kind: "memory", usedBytes: 100 },
      )
      .map(breakAt),
  );
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 200 }), (events) => {
      let cursor = START;
      let completed = 0;
      for (const event of events) {
        const active = cursor.run.status === "running" || cursor.run.status === "cancelling";
        try {
          cursor = send(cursor, event);
        } catch {
          continue; // refused: stays as it was
        }
        if (event.kind === "completed" && active) completed++;
        expect(cursor.step * ITEMS.length + cursor.index).toBe(completed);
        // What the session keeps and sends is this very data.
        expect(cursorSchema.parse(JSON.parse(JSON.stringify(cursor)))).toEqual(cursor);
      }
    }),
    { numRuns: 200 },
  );
});
