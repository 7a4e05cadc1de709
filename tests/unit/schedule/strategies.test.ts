/** Every combination of strategies makes a loop that runs, takes no more memory than without, or is refused at its field. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { checkSchedule, momentBytes, residencyMatrix } from "../../../core/schedule/check.ts";
import { describeAction, type Roles, type Schedule } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES, type StrategySet } from "../../../core/schedule/strategies.ts";
import { SCHEDULED_CONSUMERS, WORKS } from "../../../core/schedule/works.ts";
import { anyRoles, anyStrategies, EVERYTHING, MASTER_ROLES, ROLES, sizesOf, strategies } from "./support.ts";

function built(set: StrategySet, roles: Roles): Schedule | undefined {
  try {
    return buildSchedule(set, roles);
  } catch {
    return undefined;
  }
}

function ran(schedule: Schedule) {
  const check = checkSchedule(schedule);
  if (!check.ok) throw new Error(`${schedule.name}: ${check.problem.message}; ${check.problem.hint}`);
  return check;
}

function peakBytes(schedule: Schedule, parameters: number, scratch: readonly number[]): number {
  const sizes = sizesOf(schedule.roles, parameters, scratch);
  return Math.max(...ran(schedule).moments.map((moment) => momentBytes(moment, sizes)));
}

/** The actions on the edges, "before rollout: resume engine.kv_cache". */
function edges({ phases }: Schedule): string[] {
  return phases.flatMap(({ work, before, after }) => [
    ...before.map((action) => `before ${work}: ${describeAction(action)}`),
    ...after.map((action) => `after ${work}: ${describeAction(action)}`),
  ]);
}

/** Every set that is one switch more memory-saving than `set`. */
function oneMore(set: StrategySet): StrategySet[] {
  const more: Partial<StrategySet>[] = [
    { releaseKvCache: true },
    { releaseEngineWeights: true },
    { trainingMemoryOnlyWhileTraining: true },
    { optimizerOnHost: true },
    { int8: { ...set.int8, reference: true } },
    { int8: { ...set.int8, reward: true } },
  ];
  if (set.swap.method === "bucketed") more.push({ swap: { method: "copy" } });
  if (set.swap.method === "copy" && !set.releaseEngineWeights) more.push({ swap: { method: "share" } });
  if (set.reference === "resident") more.push({ reference: "host" }, { reference: "disk" });
  if (set.reward === "resident") more.push({ reward: "host" }, { reward: "disk" });
  if (set.singlePolicyCopy === "off") more.push({ singlePolicyCopy: "as_is" }, { singlePolicyCopy: "cast" });
  return more.map((part) => ({ ...set, ...part }));
}

describe("every combination of strategies", () => {
  it("runs step after step, and leaves each as it found it", () => {
    let runs = 0;
    fc.assert(
      fc.property(anyStrategies, anyRoles, (set, roles) => {
        const schedule = built(set, roles);
        if (schedule === undefined) return;
        runs++;
        const { start, moments } = ran(schedule);
        expect(schedule.phases.map(({ work }) => work)).toEqual(WORKS);
        expect(moments.at(-1)?.state).toEqual(start);
        expect(moments.filter(({ outcome }) => outcome === "already")).toEqual([]);
      }),
      { numRuns: 1000 },
    );
    expect(runs).toBeGreaterThan(100);
  });

  it("never takes more memory at its peak than with one strategy less", () => {
    let pairs = 0;
    const size = fc.integer({ min: 0, max: 1000 });
    fc.assert(
      fc.property(
        anyStrategies,
        anyRoles,
        size,
        fc.tuple(size, size, size, size),
        (set, roles, parameters, scratch) => {
          const schedule = built(set, roles);
          if (schedule === undefined) return;
          const peak = peakBytes(schedule, parameters, scratch);
          for (const more of oneMore(set)) {
            const richer = built(more, roles);
            if (richer === undefined) continue;
            pairs++;
            expect(peakBytes(richer, parameters, scratch), richer.name).toBeLessThanOrEqual(peak);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(pairs).toBeGreaterThan(200);
  });
});

describe("the peak, counted by hand", () => {
  // 100 parameters; five models in bf16 are 1000 bytes, gradients 800, optimizers 1600, scratch memory 1560.
  it.each([
    ["everything and a bucket, which is never larger than the weights", NO_STRATEGIES, 4960 + 200],
    ["everything and a small bucket", strategies({ swap: { method: "bucketed", bucketBytes: 7 } }), 4960 + 7],
    [
      "everything and a bucket as large as the weights that come, before the cast",
      NO_STRATEGIES,
      5160 + 400,
      MASTER_ROLES,
    ],
    ["everything", strategies({ swap: { method: "copy" } }), 4960],
    ["everything but the engine's weights", strategies({ swap: { method: "share" } }), 4960 - 200],
    // train_policy: policy and critic 400, gradients 400, optimizer 800, activations, logits and workspace 560.
    ["what the policy's training needs, and the critic", EVERYTHING, 2160],
  ])("is %s", (_, set, bytes, roles: Roles = ROLES) => {
    expect(peakBytes(buildSchedule(set, roles), 100, [1000, 500, 50, 10])).toBe(bytes);
  });
});

describe("what each strategy does", () => {
  const on = (set: Parameters<typeof strategies>[0], roles = ROLES) => edges(buildSchedule(strategies(set), roles));

  it("nothing: everything resident in every phase, one bucketed copy of the weights", () => {
    const schedule = buildSchedule(NO_STRATEGIES, ROLES);
    expect(schedule.name).toBe("everything resident");
    expect(edges(schedule)).toEqual(["before update_weights: swap engine.weights from policy.weights (bucketed)"]);
    for (const { cells } of residencyMatrix(schedule, ran(schedule).moments)) {
      for (const consumer of SCHEDULED_CONSUMERS) expect(cells[consumer].residency).toBe("resident");
    }
  });

  it("S1 keeps the KV cache for the rollout alone", () => {
    expect(on({ releaseKvCache: true, swap: { method: "share" } })).toEqual([
      "before rollout: resume engine.kv_cache",
      "after rollout: release engine.kv_cache",
      "before update_weights: swap engine.weights from policy.weights (share)",
    ]);
  });

  it("S2 drops the engine's weights until they are overwritten", () => {
    expect(on({ releaseEngineWeights: true, swap: { method: "copy" } })).toEqual([
      "after rollout: release engine.weights",
      "before update_weights: resume engine.weights",
      "before update_weights: swap engine.weights from policy.weights (copy)",
    ]);
  });

  it("S3 share: the engine never has weights of its own", () => {
    const schedule = buildSchedule(strategies({ swap: { method: "share" } }), ROLES);
    for (const { cells } of residencyMatrix(schedule, ran(schedule).moments)) {
      expect(cells["engine.weights"]).toMatchObject({ residency: "shared", contents: "defined" });
    }
  });

  it("S4 brings a frozen model for its one phase, and copies it to its backup once, not every step", () => {
    const schedule = buildSchedule(strategies({ reference: "host", reward: "disk" }), ROLES);
    expect(edges(schedule)).toEqual([
      "before score_reference: load reference.weights",
      "after score_reference: offload reference.weights to host",
      "before score_reward: load reward.weights",
      "after score_reward: offload reward.weights to disk",
      "before update_weights: swap engine.weights from policy.weights (bucketed)",
    ]);
    for (const { state } of ran(schedule).moments) {
      expect(state["reference.weights"].backup).toEqual({ where: "host", clean: true });
    }
  });

  it("S5 streamed: optimizers are on the host before, in and after their update, and no action moves them", () => {
    const schedule = buildSchedule(strategies({ optimizerOnHost: true, optimizerStreamed: true }), ROLES);
    expect(edges(schedule).filter((edge) => edge.includes("optimizer"))).toEqual([]);
    const { start, moments } = ran(schedule);
    for (const state of [start, ...moments.map((moment) => moment.state)]) {
      for (const consumer of ["policy.optimizer", "critic.optimizer"] as const) {
        expect(state[consumer]).toEqual({
          residency: "host",
          contents: "defined",
          backup: { where: "host", clean: true },
        });
      }
    }
    // Alone it changes nothing.
    const alone = buildSchedule(strategies({ optimizerStreamed: true }), ROLES);
    expect(alone.phases).toEqual(buildSchedule(strategies({}), ROLES).phases);
    expect(alone.roles).toEqual(ROLES);
  });

  it("S5 holds training memory from the first score to the last update, optimizers for their own", () => {
    const schedule = buildSchedule(strategies({ trainingMemoryOnlyWhileTraining: true, optimizerOnHost: true }), ROLES);
    const rows = residencyMatrix(schedule, ran(schedule).moments);
    const worksWith = (consumer: (typeof SCHEDULED_CONSUMERS)[number]) =>
      rows.filter(({ cells }) => cells[consumer].residency === "resident").map(({ work }) => work);
    expect(worksWith("activations")).toEqual(WORKS.slice(1, -1));
    expect(worksWith("logits")).toEqual(WORKS.slice(1, -1));
    expect(worksWith("critic.gradients")).toEqual(["train_critic"]);
    expect(worksWith("policy.gradients")).toEqual(["train_policy"]);
    expect(worksWith("critic.optimizer")).toEqual(["train_critic"]);
    expect(worksWith("policy.optimizer")).toEqual(["train_policy"]);
  });

  it.each([
    ["as_is", ROLES, undefined],
    ["cast", MASTER_ROLES, { there: "bf16", back: "fp32" }],
  ] as const)("S6 %s: no phase sees two copies of the policy", (singlePolicyCopy, roles, cast) => {
    const schedule = buildSchedule(strategies({ singlePolicyCopy, swap: { method: "copy" } }), roles);
    for (const { work, cells } of residencyMatrix(schedule, ran(schedule).moments)) {
      const copies = (["engine.weights", "policy.weights"] as const).filter(
        (name) => cells[name].residency === "resident",
      );
      expect(copies, work).toEqual(
        work === "update_weights"
          ? ["engine.weights", "policy.weights"] // the hand-over itself
          : [work === "rollout" ? "engine.weights" : "policy.weights"],
      );
    }
    const swaps = schedule.phases.flatMap(({ before }) => before).filter((action) => action.kind === "swap");
    expect(swaps.map(({ from, cast: to }) => [from, to])).toEqual([
      ["engine.weights", cast?.back],
      ["policy.weights", cast?.there],
    ]);
  });

  it("S7 is written into the roles, for whoever loads them", () => {
    const schedule = buildSchedule(strategies({ int8: { reference: true } }), ROLES);
    expect(schedule.roles).toEqual({ ...ROLES, reference: "int8" });
  });

  it("all together, in an order that never holds more than it must", () => {
    expect(edges(buildSchedule(EVERYTHING, ROLES))).toEqual([
      "before rollout: resume engine.kv_cache",
      "after rollout: release engine.kv_cache",
      "before score_policy: resume policy.weights",
      "before score_policy: swap policy.weights from engine.weights (copy)",
      "before score_policy: release engine.weights",
      "before score_policy: resume activations",
      "before score_policy: resume logits",
      "before score_reference: load reference.weights",
      "after score_reference: offload reference.weights to host",
      "before score_reward: load reward.weights",
      "after score_reward: offload reward.weights to disk",
      "before train_critic: resume critic.gradients",
      "before train_critic: load critic.optimizer",
      "after train_critic: release critic.gradients",
      "after train_critic: offload critic.optimizer to host",
      "before train_policy: resume policy.gradients",
      "before train_policy: load policy.optimizer",
      "after train_policy: release policy.gradients",
      "after train_policy: release activations",
      "after train_policy: release logits",
      "after train_policy: offload policy.optimizer to host",
      "before update_weights: resume engine.weights",
      "before update_weights: swap engine.weights from policy.weights (copy)",
      "after update_weights: release policy.weights",
    ]);
  });
});

describe("combinations that make no sense", () => {
  it.each([
    ["releaseEngineWeights", { swap: { method: "share" }, releaseEngineWeights: true }, ROLES, /has none to release/],
    ["singlePolicyCopy", { swap: { method: "share" }, singlePolicyCopy: "as_is" }, ROLES, /one copy already/],
    ["swap.method", { swap: { method: "share" } }, MASTER_ROLES, /fp32 weights of the policy .* bf16/],
    ["singlePolicyCopy", { singlePolicyCopy: "as_is" }, MASTER_ROLES, /need a cast/],
    ["singlePolicyCopy", { singlePolicyCopy: "cast" }, ROLES, /nothing to cast/],
    ["reward", { reward: "host" }, { ...ROLES, reward: "rule" }, /no weights/],
    ["int8.reward", { int8: { reward: true } }, { ...ROLES, reward: "rule" }, /no weights/],
  ] as const)("%s", (field, set, roles, message) => {
    expect(() => buildSchedule(strategies(set), roles)).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ code: "bad_argument", field }) }),
    );
    expect(() => buildSchedule(strategies(set), roles)).toThrow(message);
  });
});
