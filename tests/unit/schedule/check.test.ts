/** Schedules that people break by hand: the first phase that would miss something, and the action that is missing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import {
  checkSchedule,
  consequenceOf,
  foresee,
  type Problem,
  problemError,
  residencyMatrix,
} from "../../../core/schedule/check.ts";
import { applyAction, type MemoryState } from "../../../core/schedule/residency.ts";
import { type Action, describeAction, itemsOf, type Phase, type Schedule } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { isScratch, SCHEDULED_CONSUMERS, type Work } from "../../../core/schedule/works.ts";
import { EVERYTHING, ROLES, strategies } from "./support.ts";

const BASELINE = buildSchedule(NO_STRATEGIES, ROLES);

const release = (consumer: (typeof SCHEDULED_CONSUMERS)[number]): Action => ({
  kind: "release",
  consumer,
  destination: "return",
});

/** A schedule with one phase changed. */
function edit(schedule: Schedule, work: Work, change: (phase: Phase) => Partial<Phase>): Schedule {
  return {
    ...schedule,
    phases: schedule.phases.map((phase) => (phase.work === work ? { ...phase, ...change(phase) } : phase)),
  };
}

/** Without the actions on a consumer at one edge. */
function without(schedule: Schedule, work: Work, edge: "before" | "after", kind: Action["kind"]): Schedule {
  return edit(schedule, work, (phase) => ({ [edge]: phase[edge].filter((action) => action.kind !== kind) }));
}

function problemOf(schedule: Schedule, initial?: MemoryState): Problem {
  const check = checkSchedule(schedule, initial);
  if (check.ok) throw new Error("the schedule has no problem");
  return check.problem;
}

function startOf(schedule: Schedule): MemoryState {
  const check = checkSchedule(schedule);
  if (!check.ok) throw new Error(check.problem.message);
  return check.start;
}

describe("a phase that needs what is not there", () => {
  it("names the phase, the consumer and the action that is missing", () => {
    const schedule = without(
      buildSchedule(strategies({ optimizerOnHost: true }), ROLES),
      "train_policy",
      "before",
      "load",
    );
    const { message, hint, missing, code } = problemOf(schedule);
    expect(message).toBe("phase train_policy needs policy.optimizer, which is on the host");
    expect(hint).toBe("add `load policy.optimizer` before it");
    expect(missing).toEqual([{ kind: "load", consumer: "policy.optimizer" }]);
    expect(code).toBe("not_resident");
  });

  it.each<[string, Schedule, string, string]>([
    [
      "scratch memory",
      without(buildSchedule(strategies({ releaseKvCache: true }), ROLES), "rollout", "before", "resume"),
      "phase rollout needs engine.kv_cache, which is released",
      "add `resume engine.kv_cache` before it",
    ],
    [
      "contents that a release threw away",
      edit(BASELINE, "train_policy", () => ({
        before: [{ kind: "resume", consumer: "policy.optimizer" }],
        after: [release("policy.optimizer")],
      })),
      "phase train_policy needs policy.optimizer, which has undefined contents",
      "what it held is lost since `release policy.optimizer` (after train_policy, action 1): offload it there instead",
    ],
    [
      "weights that the engine had to be given anew",
      edit(BASELINE, "update_weights", () => ({ before: [] })),
      "phase update_weights needs engine.weights, which is from before the last update",
      "add `swap engine.weights from policy.weights (copy)` before it",
    ],
    [
      "a swap into memory that is not there",
      without(
        buildSchedule(strategies({ releaseEngineWeights: true, swap: { method: "copy" } }), ROLES),
        "update_weights",
        "before",
        "resume",
      ),
      "`swap engine.weights from policy.weights (copy)` (before update_weights, action 1) cannot be done: engine.weights is released",
      "add `resume engine.weights` before it",
    ],
    [
      "the only copy of the policy, which stayed in the engine",
      without(buildSchedule(strategies({ singlePolicyCopy: "as_is" }), ROLES), "score_policy", "before", "swap"),
      "phase score_policy needs policy.weights, which has undefined contents",
      // its release after the engine's own: both copies are gone
      "what it held is lost since `release policy.weights` (after update_weights, action 1): offload it there instead",
    ],
    [
      "what was trained, when the engine is to have it",
      edit(BASELINE, "train_policy", () => ({ after: [release("policy.weights")] })),
      "`swap engine.weights from policy.weights (bucketed)` (before update_weights, action 1) needs policy.weights, which is released",
      "what it held is lost since `release policy.weights` (after train_policy, action 1): offload it there instead",
    ],
    [
      "an offload of nothing",
      edit(BASELINE, "rollout", () => ({ after: [{ kind: "offload", consumer: "engine.kv_cache", to: "host" }] })),
      "`offload engine.kv_cache to host` (after rollout, action 1) cannot be done: engine.kv_cache has no contents to keep",
      "release engine.kv_cache instead",
    ],
    [
      "shared bytes",
      edit(buildSchedule(strategies({ swap: { method: "share" } }), ROLES), "rollout", () => ({
        before: [release("policy.weights")],
      })),
      "`release policy.weights` (before rollout, action 1) cannot be done: policy.weights is what the engine reads",
      "add `swap engine.weights from policy.weights (copy)` before it",
    ],
    [
      "a cycle of sharing",
      edit(buildSchedule(strategies({ swap: { method: "share" } }), ROLES), "score_policy", () => ({
        before: [{ kind: "swap", from: "engine.weights", method: "copy" }],
      })),
      "`swap policy.weights from engine.weights (copy)` (before score_policy, action 1) needs engine.weights, which is a cycle: its bytes are those of policy.weights",
      "take this action out",
    ],
  ])("%s", (_, schedule, message, hint) => {
    expect(problemOf(schedule)).toMatchObject({ message, hint });
  });

  it("does not take back an update by copying the engine's older weights over it", () => {
    const schedule = edit(BASELINE, "update_weights", ({ before }) => ({
      before: [{ kind: "swap", from: "engine.weights", method: "copy" }, ...before],
    }));
    expect(problemOf(schedule).message).toMatch(/needs engine\.weights, which is from before the last update/);
  });

  it("finds what only the next step would miss", () => {
    const schedule: Schedule = { ...BASELINE, phases: BASELINE.phases.filter(({ work }) => work !== "update_weights") };
    expect(problemOf(schedule)).toMatchObject({
      inNextStep: true,
      message: "in the next step, phase rollout needs engine.weights, which is from before the last update",
    });
  });

  it("is an error that stops a run, at the field", () => {
    const error = problemError(problemOf(edit(BASELINE, "update_weights", () => ({ before: [] }))));
    expect(error.data).toMatchObject({ code: "contents_undefined", field: "phases[8].work" });
  });
});

describe("the memory rules", () => {
  const start = startOf(BASELINE);
  const stateAfter = (...actions: Action[]) =>
    actions.reduce((state, action) => {
      const outcome = applyAction(state, action, ROLES);
      if (outcome.kind === "refused") throw new Error(`${describeAction(action)}: ${outcome.refusal.code}`);
      return outcome.state;
    }, start);

  it("keep a backup through a load, and lose it with a release", () => {
    const consumer = "reference.weights";
    const loaded = stateAfter({ kind: "offload", consumer, to: "host" }, { kind: "load", consumer });
    expect(loaded[consumer]).toEqual({
      residency: "resident",
      contents: "defined",
      backup: { where: "host", clean: true },
    });
    const elsewhere = stateAfter(
      { kind: "offload", consumer, to: "host" },
      { kind: "load", consumer },
      { kind: "offload", consumer, to: "disk" },
    );
    expect(elsewhere[consumer].backup).toEqual({ where: "disk", clean: true });
    expect(stateAfter({ kind: "offload", consumer, to: "host" }, release(consumer))[consumer]).toEqual({
      residency: "released",
      contents: "undefined",
    });
  });

  it("know an optimizer's backup is out of date after its update", () => {
    const schedule = buildSchedule(strategies({ optimizerOnHost: true }), ROLES);
    const check = checkSchedule(schedule);
    const moments = check.ok ? check.moments : [];
    const trained = moments.find(({ item }) => item.kind === "work" && item.work === "train_policy");
    expect(trained?.state["policy.optimizer"].backup).toEqual({ where: "host", clean: false });
  });

  it("give shared weights memory of their own by a copy", () => {
    const shared = stateAfter({ kind: "swap", from: "policy.weights", method: "share" });
    expect(shared["engine.weights"].residency).toBe("shared");
    expect(applyAction(shared, release("engine.weights"), ROLES)).toMatchObject({
      kind: "refused",
      refusal: { code: "shared" },
    });
    const own = applyAction(shared, { kind: "swap", from: "policy.weights", method: "copy" }, ROLES);
    expect(own).toMatchObject({
      kind: "done",
      state: { "engine.weights": { residency: "resident", contents: "defined" } },
    });
  });

  it("leave alone what is as it should be", () => {
    expect(applyAction(start, { kind: "resume", consumer: "engine.kv_cache" }, ROLES)).toEqual({
      kind: "already",
      state: start,
    });
  });
});

describe("acting by hand between two items", () => {
  const indexOf = (schedule: Schedule, work: Work) =>
    itemsOf(schedule).findIndex((item) => item.kind === "work" && item.work === work);
  const byHand = (schedule: Schedule, before: Work, action: Action) =>
    consequenceOf(schedule, startOf(schedule), indexOf(schedule, before), action);

  it("says which phase will miss it and what brings it back", () => {
    expect(byHand(BASELINE, "rollout", { kind: "offload", consumer: "reference.weights", to: "host" })).toMatchObject({
      kind: "missed",
      problem: { item: { work: "score_reference" }, missing: [{ kind: "load", consumer: "reference.weights" }] },
    });
    expect(byHand(BASELINE, "rollout", release("engine.weights"))).toMatchObject({
      kind: "missed",
      problem: {
        item: { work: "rollout" },
        missing: [
          { kind: "resume", consumer: "engine.weights" },
          { kind: "swap", from: "policy.weights", method: "copy" },
        ],
      },
    });
  });

  it("warns of what nothing brings back", () => {
    expect(byHand(BASELINE, "rollout", release("reward.weights"))).toMatchObject({
      kind: "missed",
      problem: {
        item: { work: "score_reward" },
        missing: [],
        hint: "what reward.weights held is lost, and only a new run has it again: offload it instead of releasing it",
      },
    });
  });

  it("looks into the next step when this one does not need it any more", () => {
    expect(byHand(BASELINE, "advantages", release("engine.kv_cache"))).toMatchObject({
      kind: "missed",
      problem: { inNextStep: true, item: { work: "rollout" } },
    });
  });

  it("is harmless where the schedule brings it back by itself", () => {
    const schedule = buildSchedule(strategies({ releaseEngineWeights: true, releaseKvCache: true }), ROLES);
    expect(byHand(schedule, "rollout", release("workspace")).kind).toBe("missed");
    expect(byHand(schedule, "rollout", { kind: "load", consumer: "engine.weights" })).toEqual({ kind: "already" });
    const scored = indexOf(schedule, "score_policy");
    const check = checkSchedule(schedule);
    const then = check.ok && check.moments[scored - 1];
    expect(then && foresee(schedule, then.state, scored)).toBeUndefined();
    expect(then && consequenceOf(schedule, then.state, scored, release("engine.kv_cache"))).toEqual({
      kind: "already",
    });
  });
});

describe("any schedule that people might write", () => {
  const anyAction: fc.Arbitrary<Action> = fc.oneof(
    fc.record({
      kind: fc.constantFrom("release" as const),
      consumer: fc.constantFrom(...SCHEDULED_CONSUMERS),
      destination: fc.constant("return" as const),
    }),
    fc.record({
      kind: fc.constantFrom("resume" as const, "load" as const),
      consumer: fc.constantFrom(...SCHEDULED_CONSUMERS),
    }),
    fc.record({
      kind: fc.constant("offload" as const),
      consumer: fc.constantFrom(...SCHEDULED_CONSUMERS),
      to: fc.constantFrom("host" as const, "disk" as const),
    }),
    fc.constantFrom<Action>(
      { kind: "swap", from: "policy.weights", method: "share" },
      { kind: "swap", from: "policy.weights", method: "copy" },
      { kind: "swap", from: "engine.weights", method: "copy" },
    ),
  );
  const insert = (
    schedule: Schedule,
    edits: readonly { phase: number; edge: "before" | "after"; action: Action }[],
  ) => ({
    ...schedule,
    phases: schedule.phases.map((phase, index) => {
      const mine = (edge: "before" | "after") =>
        edits.filter((one) => one.phase === index && one.edge === edge).map(({ action }) => action);
      return { ...phase, before: [...mine("before"), ...phase.before], after: [...phase.after, ...mine("after")] };
    }),
  });
  const anyEdits = fc.array(
    fc.record({ phase: fc.nat(8), edge: fc.constantFrom("before" as const, "after" as const), action: anyAction }),
    { minLength: 1, maxLength: 5 },
  );
  const bases = fc.constantFrom(BASELINE, buildSchedule(EVERYTHING, ROLES));

  it("either has a problem or is a loop, whose works find what they need", () => {
    let loops = 0;
    fc.assert(
      fc.property(bases, anyEdits, (base, edits) => {
        const schedule = insert(base, edits);
        const check = checkSchedule(schedule);
        if (!check.ok) return;
        loops++;
        expect(check.moments.at(-1)?.state).toEqual(check.start);
        for (const { cells } of residencyMatrix(schedule, check.moments)) {
          for (const consumer of SCHEDULED_CONSUMERS) {
            const { use, residency, contents } = cells[consumer];
            if (use === "none") continue;
            expect(["resident", "shared"]).toContain(residency);
            if (!isScratch(consumer) && consumer !== "engine.weights") expect(contents).toBe("defined");
          }
        }
      }),
      { numRuns: 2000 },
    );
    expect(loops).toBeGreaterThan(100);
  });

  it("runs further when the missing actions are put where the problem says", () => {
    let repaired = 0;
    fc.assert(
      fc.property(bases, anyEdits, (base, edits) => {
        const start = startOf(base);
        const schedule = insert(base, edits);
        const problem = foresee(schedule, start, 0);
        if (problem === undefined || problem.inNextStep || problem.missing.length === 0) return;
        repaired++;
        const { item } = problem;
        const at = item.kind === "work" ? { edge: "before" as const, position: undefined } : item;
        const fixed: Schedule = {
          ...schedule,
          phases: schedule.phases.map((phase, index) => {
            if (index !== item.phase) return phase;
            const list = phase[at.edge];
            const position = at.position ?? list.length;
            return { ...phase, [at.edge]: [...list.slice(0, position), ...problem.missing, ...list.slice(position)] };
          }),
        };
        const left = foresee(fixed, start, 0);
        if (left === undefined || left.inNextStep) return;
        // Further on, or the same item for want of another consumer.
        const reached = left.item.index - problem.missing.length;
        expect(reached).toBeGreaterThanOrEqual(item.index);
        if (reached === item.index) expect(left.consumer).not.toBe(problem.consumer);
      }),
      { numRuns: 2000 },
    );
    expect(repaired).toBeGreaterThan(100);
  });
});
