/** Undo: whatever is done by hand is either led back to what was there, or said to be final. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { checkSchedule } from "../../../core/schedule/check.ts";
import { applyAction, type MemoryState } from "../../../core/schedule/residency.ts";
import { type Action, targetOf } from "../../../core/schedule/schedule.ts";
import { inverseOf } from "../../../core/schedule/undo.ts";
import { SCHEDULED_CONSUMERS } from "../../../core/schedule/works.ts";
import { ROLES, strategies } from "./support.ts";

const START = startOf();

function startOf(): MemoryState {
  const check = checkSchedule(buildSchedule(strategies({}), ROLES));
  if (!check.ok) throw new Error(check.problem.message);
  return check.start;
}

const consumer = fc.constantFrom(...SCHEDULED_CONSUMERS);
const anyAction: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant("release"), consumer, destination: fc.constantFrom("return", "hold") }),
  fc.record({ kind: fc.constant("resume"), consumer }),
  fc.record({ kind: fc.constant("offload"), consumer, to: fc.constantFrom("host", "disk") }),
  fc.record({ kind: fc.constant("load"), consumer }),
  fc.record({
    kind: fc.constant("swap"),
    from: fc.constantFrom("policy.weights", "engine.weights"),
    method: fc.constantFrom("copy", "share"),
  }),
);

function done(state: MemoryState, action: Action): MemoryState | undefined {
  const outcome = applyAction(state, action, ROLES);
  return outcome.kind === "done" ? outcome.state : undefined;
}

describe("the inverse of an action", () => {
  it("leads back to what was there, wherever there is one", () => {
    fc.assert(
      fc.property(fc.array(anyAction, { maxLength: 12 }), anyAction, (before, action) => {
        const state = before.reduce((memory, each) => done(memory, each) ?? memory, START);
        const after = done(state, action);
        fc.pre(after !== undefined);
        const inverse = inverseOf(state, action);
        if (after === undefined || inverse === undefined) return;
        const target = targetOf(action);
        const { residency, contents } = state[target];
        expect(done(after, inverse)?.[target]).toMatchObject({ residency, contents });
      }),
    );
  });

  it("is missing exactly where something was lost or overwritten", () => {
    expect(inverseOf(START, { kind: "release", consumer: "critic.weights", destination: "return" })).toBeUndefined();
    expect(inverseOf(START, { kind: "swap", from: "policy.weights", method: "copy" })).toBeUndefined();
    expect(inverseOf(START, { kind: "release", consumer: "logits", destination: "hold" })).toEqual({
      kind: "resume",
      consumer: "logits",
    });
    const offloaded = done(START, { kind: "offload", consumer: "reward.weights", to: "disk" }) ?? START;
    expect(inverseOf(offloaded, { kind: "load", consumer: "reward.weights" })).toEqual({
      kind: "offload",
      consumer: "reward.weights",
      to: "disk",
    });
    // Its copy on disk was all there was.
    expect(
      inverseOf(offloaded, { kind: "release", consumer: "reward.weights", destination: "return" }),
    ).toBeUndefined();
  });
});
