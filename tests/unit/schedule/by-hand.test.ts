/** Actions by hand: what is offered, and what a person is told before doing them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allStrategies, buildSchedule } from "../../../core/schedule/build.ts";
import { actionsByHand, aftermathOf, aftermathWords } from "../../../core/schedule/by-hand.ts";
import { checkSchedule, foresee } from "../../../core/schedule/check.ts";
import { applyAction, type MemoryState } from "../../../core/schedule/residency.ts";
import { type Action, itemsOf, type Schedule } from "../../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS } from "../../../core/schedule/works.ts";
import { anyRoles, EVERYTHING, MASTER_ROLES, ROLES, strategies } from "./support.ts";

const plain = buildSchedule(strategies({}), ROLES);

function startOf(schedule: Schedule): MemoryState {
  const check = checkSchedule(schedule);
  if (!check.ok) throw new Error(check.problem.message);
  return check.start;
}

const offload = (consumer: (typeof SCHEDULED_CONSUMERS)[number]): Action => ({
  kind: "offload",
  consumer,
  to: "host",
});

describe("an action by hand", () => {
  it("is harmless when the schedule makes up for it", () => {
    const schedule = buildSchedule(strategies({ reference: "host" }), ROLES);
    const load: Action = { kind: "load", consumer: "reference.weights" };
    expect(aftermathOf(schedule, startOf(schedule), 0, load)).toEqual({ kind: "harmless" });
  });

  it("names who will miss it, what brings it back, and what that took the last time", () => {
    const aftermath = aftermathOf(plain, startOf(plain), 0, offload("policy.optimizer"));
    expect(aftermath.kind).toBe("needed");
    expect(aftermathWords(aftermath, () => 0.012)).toBe(
      "train_policy needs policy.optimizer: the run stops there until you `load policy.optimizer`, about 12.0 ms",
    );
    expect(aftermathWords(aftermath, () => undefined)).not.toMatch(/about/);
  });

  it("says when something is lost for good", () => {
    const release: Action = { kind: "release", consumer: "critic.optimizer", destination: "return" };
    const aftermath = aftermathOf(plain, startOf(plain), 0, release);
    expect(aftermath.kind).toBe("lost");
    expect(aftermathWords(aftermath, () => undefined)).toMatch(
      /^lost for good: train_critic needs what critic\.optimizer/,
    );
  });

  it("is not blamed for what would stop the run anyway", () => {
    const release: Action = { kind: "release", consumer: "critic.optimizer", destination: "return" };
    const lost = applyAction(startOf(plain), release, ROLES);
    if (lost.kind === "refused") throw new Error("it can be released");
    expect(aftermathOf(plain, lost.state, 0, offload("reference.weights")).kind).toBe("needed");
    expect(
      aftermathOf(plain, lost.state, itemsOf(plain).length - 1, { kind: "resume", consumer: "critic.optimizer" }),
    ).toEqual({ kind: "harmless" });
  });

  it("is refused with what has to come first", () => {
    const schedule = buildSchedule(strategies({ swap: { method: "share" } }), ROLES);
    const aftermath = aftermathOf(schedule, startOf(schedule), 0, offload("policy.weights"));
    expect(aftermathWords(aftermath, () => undefined)).toMatch(/policy\.weights is what the engine reads: first `swap/);
  });

  it("is offered only where it changes something, and never refused for the state it was offered in", () => {
    fc.assert(
      fc.property(anyRoles, fc.nat(60), (roles, done) => {
        const schedule = buildSchedule(allStrategies(roles), roles);
        const check = checkSchedule(schedule);
        if (!check.ok) throw new Error(check.problem.message);
        const { state } = check.moments[done % check.moments.length] ?? { state: check.start };
        for (const consumer of SCHEDULED_CONSUMERS) {
          for (const action of actionsByHand(state, consumer, roles)) {
            const outcome = applyAction(state, action, roles);
            // A swap may wait for its source; everything else follows from the consumer alone.
            if (action.kind !== "swap") expect(outcome.kind).toBe("done");
          }
        }
      }),
    );
  });
});

describe("all strategies", () => {
  it.each([
    ["one precision", ROLES],
    ["a master of more bits", MASTER_ROLES],
    ["a rule as reward", { ...ROLES, reward: "rule" as const }],
  ])("make a schedule that runs, without a cast: %s", (_, roles) => {
    const schedule = buildSchedule(allStrategies(roles), roles);
    expect(checkSchedule(schedule).ok).toBe(true);
    expect(foresee(schedule, startOf(schedule), 0)).toBeUndefined();
    expect(schedule.roles).toEqual(roles);
    expect(allStrategies(roles).singlePolicyCopy).not.toBe("cast");
  });

  it("are fewer than everything: int8 changes what is learned", () => {
    expect(allStrategies(ROLES)).not.toEqual(EVERYTHING);
    expect(allStrategies(ROLES).int8).toEqual({ reference: false, reward: false });
  });
});
