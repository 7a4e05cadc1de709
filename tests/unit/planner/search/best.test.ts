/** The search against brute force: every set of strategies that can be, predicted one by one. */
import { describe, expect, it } from "vitest";
import { toErrorData } from "../../../../core/errors.ts";
import { contradictionsOf, type Plan } from "../../../../core/planner/plan.ts";
import { predict } from "../../../../core/planner/predict/predict.ts";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { PRESETS, presetNamed } from "../../../../core/planner/presets.ts";
import { canFit, planBest, searchPlans } from "../../../../core/planner/search/best.ts";
import type { StrategySet } from "../../../../core/schedule/strategies.ts";
import { planWith } from "../plans.ts";

const FLAGS = [false, true] as const;
const PLACES = ["resident", "host", "disk"] as const;
const SWAPS: readonly StrategySet["swap"][] = [
  { method: "share" },
  { method: "copy" },
  { method: "bucketed", bucketBytes: 512 * 2 ** 20 },
];

/** Nothing clever: all of them, those that contradict themselves left out. */
function everySet({ workload, strategies: { int8, optimizerStreamed } }: Plan): readonly StrategySet[] {
  const rewards = workload.reward === "rule" ? (["resident"] as const) : PLACES;
  const sets: StrategySet[] = [];
  for (const releaseKvCache of FLAGS)
    for (const releaseEngineWeights of FLAGS)
      for (const swap of SWAPS)
        for (const reference of PLACES)
          for (const reward of rewards)
            for (const trainingMemoryOnlyWhileTraining of FLAGS)
              for (const optimizerOnHost of FLAGS)
                for (const singlePolicyCopy of ["off", "as_is"] as const)
                  sets.push({
                    releaseKvCache,
                    releaseEngineWeights,
                    swap,
                    reference,
                    reward,
                    trainingMemoryOnlyWhileTraining,
                    optimizerOnHost,
                    optimizerStreamed,
                    singlePolicyCopy,
                    int8,
                  });
  return sets;
}

function predictions(plan: Plan): readonly Prediction[] {
  return everySet(plan).flatMap((strategies) => {
    const candidate = { ...plan, strategies };
    if (contradictionsOf(candidate).length > 0) return [];
    try {
      return [predict(candidate)];
    } catch (error) {
      if (toErrorData(error).code === "plan_invalid") return [];
      throw error;
    }
  });
}

const secondsOf = ({ workSeconds, memorySeconds }: Prediction) => workSeconds + memorySeconds;
const peakOf = ({ gpus }: Prediction) => Math.max(...gpus.map(({ peakBytes }) => peakBytes));

const SMALL = { model: "Qwen2.5-0.5B" };
const TRAINED = { ...SMALL, gradientCheckpointing: true };

/** Optimizers that are on the host during their update too, if on the host at all. */
function streamedOn(gib: number): Plan {
  const role = { model: "Qwen2.5-3B", gradientCheckpointing: true };
  return planWith({
    gpu: { totalBytes: gib * 2 ** 30 },
    workload: { policy: role, critic: role, reference: { model: "Qwen2.5-3B" }, batch: 8 },
    strategies: { optimizerStreamed: true },
  });
}

describe("the best plan is the cheapest of all that fit", () => {
  it.each<readonly [string, Plan]>([
    ...PRESETS.map(({ name, plan }) => [name, plan] as const),
    [
      "a small card, with a reward model",
      planWith({
        gpu: { name: "RTX 3090" },
        workload: { policy: TRAINED, critic: TRAINED, reference: SMALL, reward: SMALL, microBatch: 2 },
      }),
    ],
    [
      "one where nothing fits",
      planWith({ gpu: { name: "RTX 4090" }, workload: { reward: { model: "Qwen2.5-7B" }, microBatch: 2 } }),
    ],
    ["optimizers that may be streamed, where another release takes less time", streamedOn(76)],
    ["optimizers that have to be streamed", streamedOn(28)],
    ["an engine in another precision", planWith({ workload: { engine: { precision: "fp32" }, microBatch: 1 } })],
  ])("%s", (_, plan) => {
    const all = predictions(plan);
    expect(all.length).toBeGreaterThan(50);
    const fitting = all.filter(({ fit }) => fit === "fits");
    const best = planBest(plan);
    if (best.kind === "none") {
      expect(fitting).toEqual([]);
      expect(peakOf(best.least)).toBe(Math.min(...all.map(peakOf)));
    } else {
      expect(best.prediction.fit).toBe("fits");
      expect(secondsOf(best.prediction)).toBeCloseTo(Math.min(...fitting.map(secondsOf)), 9);
    }
  });
});

it("adds up for every set of strategies to what a prediction says: the peak to the byte, and the seconds", () => {
  for (const { plan } of PRESETS) {
    for (const prediction of predictions(plan)) {
      const own = searchPlans(prediction.plan, { strategies: [] });
      expect(own.schedules).toBe(1);
      expect(own.peakBytes, prediction.schedule.name).toBe(peakOf(prediction));
      expect(own.seconds).toBeCloseTo(secondsOf(prediction), 9);
    }
  }
});

it.each([24, 28, 32, 40, 48])("knows at once that a streamed optimizer leaves room on a card of %i GiB", (gib) => {
  expect(searchPlans(streamedOn(gib)).fits).toBe(true);
  expect(canFit(streamedOn(gib), {})).toBe(true);
});

describe("a plan whose strategies contradict each other", () => {
  it("has a best one where they may be switched", () => {
    // A rule has no weights to offload.
    expect(searchPlans(planWith({ strategies: { reward: "host" } })).plan.strategies.reward).toBe("resident");
  });

  it.each([
    [{ reward: "host" }, "strategies.reward"],
    [{ swap: { method: "share" }, releaseEngineWeights: true }, "strategies.releaseEngineWeights"],
  ])("is refused at its field where they may not: %o", (strategies, field) => {
    const search = () => searchPlans(planWith({ strategies }), { strategies: ["releaseKvCache"] });
    expect(search).toThrow(expect.objectContaining({ data: expect.objectContaining({ code: "plan_invalid", field }) }));
  });
});

describe("what may not be changed stays", () => {
  const { plan } = presetNamed("1xh100-adam-offload");

  it("strategies that are not allowed", () => {
    const best = searchPlans(plan, { strategies: ["releaseKvCache"] });
    expect({ ...best.plan.strategies, releaseKvCache: true }).toEqual({ ...plan.strategies, releaseKvCache: true });
  });

  it("precisions, unless they are named: then an int8 reference is found where it lets more stay resident", () => {
    const tight = planWith({
      gpu: { name: "RTX 4090" },
      workload: { policy: TRAINED, critic: TRAINED, reference: { model: "Qwen2.5-3B" }, microBatch: 1 },
    });
    const without = searchPlans(tight);
    expect(without.plan.strategies.int8.reference).toBe(false);
    expect(without.plan.workload).toEqual(tight.workload);
    const allowed = searchPlans(tight, { precisions: { reference: ["int8"] } });
    expect(allowed.seconds).toBeLessThan(without.seconds);
    expect(allowed.plan.strategies.int8.reference).toBe(true);
  });

  it("bits of the policy, unless a cast is allowed", () => {
    // The rollout is the highest phase, and nothing fits: the lowest peak is what is found.
    const mixed = planWith({
      gpu: { name: "H100 SXM", totalBytes: 60 * 2 ** 30 },
      workload: {
        engine: { precision: "bf16", kvCacheBytes: 60 * 2 ** 30 },
        policy: { ...TRAINED, precision: "fp32" },
        critic: TRAINED,
        reference: SMALL,
      },
    });
    const kept = searchPlans(mixed);
    const cast = searchPlans(mixed, { cast: true });
    expect(kept.plan.strategies.singlePolicyCopy).toBe("off");
    expect(cast.plan.strategies.singlePolicyCopy).toBe("cast");
    const freed = kept.peakBytes - cast.peakBytes;
    expect(freed / (4 * 494_032_768)).toBeCloseTo(1, 2);
  });
});
