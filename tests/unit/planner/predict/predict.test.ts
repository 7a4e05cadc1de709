/** What a prediction says of the whole loop: sums, strategies, placements, and what is publicly known to fit or not. */
import { describe, expect, it } from "vitest";
import type { Consumer } from "../../../../core/consumers.ts";
import { configNamed } from "../../../../core/planner/models/catalogue.ts";
import type { Plan } from "../../../../core/planner/plan.ts";
import { predict, predictSchedule } from "../../../../core/planner/predict/predict.ts";
import type { PhasePeak, Prediction } from "../../../../core/planner/predict/prediction.ts";
import { PRESETS, presetNamed } from "../../../../core/planner/presets.ts";
import { sumOf } from "../../../../core/planner/provenance.ts";
import type { StrategySet } from "../../../../core/schedule/strategies.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { GIB } from "../../../../core/units.ts";
import { planWith } from "../plans.ts";

const SEVEN = "Qwen2.5-7B";
const SEVEN_PARAMETERS = 7_615_616_512;

function peakOf(prediction: Prediction, work: Work, gpu = 0): PhasePeak {
  const peak = prediction.phases.find((phase) => phase.work === work)?.peaks[gpu];
  if (peak === undefined) throw new Error(`there is no ${work}`);
  return peak;
}

function bytesOf(prediction: Prediction, work: Work, consumer: Consumer, gpu = 0): number {
  return peakOf(prediction, work, gpu).holders.find((holder) => holder.consumer === consumer)?.bytes ?? 0;
}

const withStrategies = (strategies: Partial<StrategySet>) => predict(planWith({ strategies }));

describe("bytes", () => {
  it.each(PRESETS.map(({ name, plan }) => [name, plan] as const))("of %s add up, down to their reasons", (_, plan) => {
    const { phases, gpus, fullest, capacityBytes } = predict(plan);
    for (const { peaks } of phases) {
      for (const { bytes, holders } of peaks) {
        expect(holders.reduce((sum, holder) => sum + holder.bytes, 0)).toBe(bytes);
        for (const { consumer, bytes: held, terms } of holders) expect(sumOf(terms), consumer).toBe(held);
      }
    }
    for (const [index, gpu] of gpus.entries()) {
      expect(gpu.peakBytes).toBe(Math.max(...phases.map(({ peaks }) => peaks[index]?.bytes ?? 0)));
      expect(gpu.headroomBytes).toBe(capacityBytes - gpu.peakBytes);
    }
    expect(fullest.peakBytes).toBe(Math.max(...gpus.map(({ peakBytes }) => peakBytes)));
  });

  it("are those of the model: weights, gradients and moments by the parameter", () => {
    const prediction = predict(planWith());
    const per = (consumer: Consumer) => bytesOf(prediction, "train_policy", consumer) / SEVEN_PARAMETERS;
    expect(per("engine.weights")).toBe(2);
    // PyTorch counts what its allocator does not cut off, too: half a percent of a 7B.
    for (const [consumer, bytesEach] of [
      ["weights", 2],
      ["gradients", 2],
      ["optimizer", 8],
    ] as const) {
      const ratio = per(`policy.${consumer}`) / bytesEach;
      expect(ratio).toBeGreaterThanOrEqual(1);
      expect(ratio).toBeLessThan(1.01);
    }
    // 64 rollouts of 1,536 tokens, 56 KiB each.
    expect(bytesOf(prediction, "rollout", "engine.kv_cache")).toBe(64 * 1536 * 56 * 1024);
  });

  it("of adapters are all that is trained", () => {
    const lora = predict(planWith({ workload: { policy: { model: SEVEN, lora: { rank: 16 } } } }));
    const whole = predict(planWith());
    const share = (consumer: Consumer) =>
      bytesOf(lora, "train_policy", consumer) / bytesOf(whole, "train_policy", consumer);
    expect(share("policy.gradients")).toBeLessThan(0.02);
    expect(share("policy.optimizer")).toBeLessThan(0.02);
    expect(share("policy.weights")).toBeGreaterThan(1);
    expect(share("policy.weights")).toBeLessThan(1.02);
  });

  it.each([
    ["int8", 1],
    ["fp8", 1],
    ["nf4", (4 + 0.127) / 8],
  ])("of a reference in %s", (precision, bytesPerWeight) => {
    const prediction = predict(planWith({ workload: { reference: { model: "Qwen2.5-72B", precision } } }));
    const parameters = 72_706_203_648;
    // The embedding and the output projection stay in 16 bits.
    const rest = 2 * 152_064 * 8192;
    const expected = (parameters - rest) * bytesPerWeight + 2 * rest;
    const ratio = bytesOf(prediction, "rollout", "reference.weights") / expected;
    expect(ratio).toBeGreaterThanOrEqual(1);
    expect(ratio).toBeLessThan(1.015);
    expect(prediction.schedule.roles.reference).toBe("int8");
  });
});

describe("a strategy frees what it says, where it says", () => {
  const plain = withStrategies({});
  const freed = (strategies: Partial<StrategySet>, work: Work, consumer: Consumer) =>
    bytesOf(plain, work, consumer) - bytesOf(withStrategies(strategies), work, consumer);
  const all = (consumer: Consumer) => bytesOf(plain, "rollout", consumer);

  it("KV cache, outside of the rollout", () => {
    expect(freed({ releaseKvCache: true }, "train_policy", "engine.kv_cache")).toBe(all("engine.kv_cache"));
    expect(freed({ releaseKvCache: true }, "rollout", "engine.kv_cache")).toBe(0);
  });

  it("engine weights, between rollout and update", () => {
    expect(freed({ releaseEngineWeights: true }, "train_critic", "engine.weights")).toBe(all("engine.weights"));
    expect(freed({ releaseEngineWeights: true }, "update_weights", "engine.weights")).toBe(0);
  });

  it("the reference, but where it scores", () => {
    expect(freed({ reference: "host" }, "train_policy", "reference.weights")).toBe(all("reference.weights"));
    expect(freed({ reference: "host" }, "score_reference", "reference.weights")).toBe(0);
    expect(withStrategies({ reference: "host" }).hostBytes).toBe(all("reference.weights"));
    expect(withStrategies({ reference: "disk" }).hostBytes).toBe(0);
  });

  it("moments, but during their own update", () => {
    expect(freed({ optimizerOnHost: true }, "train_critic", "policy.optimizer")).toBe(all("policy.optimizer"));
    expect(freed({ optimizerOnHost: true }, "train_policy", "policy.optimizer")).toBe(0);
  });

  it("gradients and activations, while the engine samples", () => {
    const strategies = { trainingMemoryOnlyWhileTraining: true };
    expect(freed(strategies, "rollout", "policy.gradients")).toBe(all("policy.gradients"));
    expect(freed(strategies, "rollout", "activations")).toBe(all("activations"));
    expect(all("activations")).toBeGreaterThan(0);
  });

  it("one of two copies of the policy", () => {
    const strategies: Partial<StrategySet> = { singlePolicyCopy: "as_is", swap: { method: "copy" } };
    expect(freed(strategies, "rollout", "policy.weights")).toBe(all("policy.weights"));
    expect(freed(strategies, "train_policy", "engine.weights")).toBe(all("engine.weights"));
  });

  it("the engine's copy, for good, where it shares the policy's", () => {
    expect(freed({ swap: { method: "share" } }, "rollout", "engine.weights")).toBe(all("engine.weights"));
  });

  it("half of a reference that is stored as int8", () => {
    const share = freed({ int8: { reference: true, reward: false } }, "rollout", "reference.weights");
    expect(share / all("reference.weights")).toBeCloseTo(0.43, 1);
  });

  it("and costs seconds, which are those of its actions", () => {
    for (const strategies of [{ reference: "host" }, { optimizerOnHost: true }, { releaseKvCache: true }] as const) {
      const { memorySeconds, phases } = withStrategies(strategies);
      expect(memorySeconds).toBeGreaterThan(plain.memorySeconds);
      const actions = phases.flatMap(({ transitions }) => transitions);
      expect(actions.reduce((sum, { totalSeconds }) => sum + totalSeconds, 0)).toBeCloseTo(memorySeconds, 9);
    }
  });
});

describe("placements (S8)", () => {
  const apart = predict(presetNamed("8xh100-separate").plan);
  const together = predict(presetNamed("4xh100-colocated").plan);

  it("the same loop on half of the cards, colocated, with seconds of memory actions to pay", () => {
    expect(apart.gpus.map(({ kind, count }) => [kind, count])).toEqual([
      ["trainer", 4],
      ["engine", 4],
    ]);
    expect(together.gpus.map(({ kind, count }) => [kind, count])).toEqual([["shared", 4]]);
    expect([apart.fit, together.fit]).toEqual(["fits", "fits"]);
    expect(together.workSeconds).toBeCloseTo(apart.workSeconds, 6);
  });

  it("apart, engines hold nothing of the trainers and the other way round", () => {
    expect(bytesOf(apart, "train_policy", "policy.weights", 1)).toBe(0);
    expect(bytesOf(apart, "rollout", "engine.kv_cache", 0)).toBe(0);
    expect(bytesOf(apart, "rollout", "engine.kv_cache", 1)).toBeGreaterThan(0);
    const [update] = apart.phases.flatMap(({ transitions }) => transitions);
    expect(update?.seconds.map(({ cause }) => cause)).toContain("fetched from other GPUs");
  });

  it("ZeRO 3 over N divides weights, gradients and moments of trained and weights of frozen models by N", () => {
    const on = (gpus: number) =>
      predict(
        planWith({ placement: { gpus, zeroStage: 3 }, workload: { policy: { model: SEVEN, masterWeights: true } } }),
      );
    for (const consumer of ["policy.weights", "policy.gradients", "policy.optimizer", "reference.weights"] as const) {
      const [two, eight] = [bytesOf(on(2), "train_policy", consumer), bytesOf(on(8), "train_policy", consumer)];
      expect(two / eight).toBeCloseTo(4, 6);
    }
  });

  it("an engine over two cards keeps half of weights and cache on each", () => {
    const on = (engineTensorParallel: number) => predict(planWith({ placement: { gpus: 2, engineTensorParallel } }));
    const ratio = bytesOf(on(2), "rollout", "engine.weights") / bytesOf(on(1), "rollout", "engine.weights");
    expect(ratio).toBeCloseTo(0.5, 3);
    // Half of the heads, and all rollouts instead of half of them.
    expect(bytesOf(on(2), "rollout", "engine.kv_cache")).toBe(bytesOf(on(1), "rollout", "engine.kv_cache"));
  });
});

describe("what is publicly known", () => {
  it("PPO of a 7B does not fit on one A100 80GB (trl#2719)", () => {
    const { fit, verdict } = predict(planWith({ gpu: { name: "A100 80GB SXM" } }));
    expect(fit).toBe("exceeds");
    expect(verdict).toMatch(/^Does not fit: .* GiB of 79\.2 GiB in \w+, .* GiB too much\.$/);
  });

  it("four 7B models take about 60 GB once loaded (MOSS-RLHF#32)", () => {
    const model = { model: "Llama-2-7B" };
    const prediction = predict(
      planWith({ workload: { policy: model, critic: model, reference: model, reward: model } }),
    );
    const weights = ["policy.weights", "critic.weights", "reference.weights", "reward.weights"] as const;
    const held = weights.reduce((sum, consumer) => sum + bytesOf(prediction, "rollout", consumer), 0);
    const context = bytesOf(prediction, "rollout", "context") / 2;
    expect((held + context) / 60e9).toBeGreaterThan(0.85);
    expect((held + context) / 60e9).toBeLessThan(1.05);
  });

  it("0.5B trains on one RTX 4090, 7B does not", () => {
    expect(predict(presetNamed("rtx4090-half-billion").plan).fit).not.toBe("exceeds");
    expect(predict(planWith({ gpu: { name: "RTX 4090" } })).fit).toBe("exceeds");
  });
});

it("predicts a schedule that somebody edited by hand, and names what one lacks", () => {
  const { plan } = presetNamed("1xh100-adam-offload");
  const { schedule } = predict(plan);
  const edited = {
    ...schedule,
    phases: schedule.phases.map((phase) =>
      phase.work === "score_reference" ? { ...phase, before: [], after: [] } : phase,
    ),
  };
  const resident = predictSchedule(plan, edited);
  expect(bytesOf(resident, "rollout", "reference.weights")).toBeGreaterThan(14 * GIB);
  const broken = {
    ...schedule,
    phases: schedule.phases.map((phase) => (phase.work === "score_reference" ? { ...phase, before: [] } : phase)),
  };
  expect(() => predictSchedule(plan, broken)).toThrow(/reference\.weights/);
});

const embedded = (model: unknown) => ({ gpu: { embedded: true }, workload: { reference: { model } } });
const WINDOWED = {
  name: "windowed",
  config: { ...configNamed("Qwen2.5-7B"), use_sliding_window: true, sliding_window: 4096, max_window_layers: 0 },
};

describe("what cannot be together is refused at its field", () => {
  it.each<readonly [string, Parameters<typeof planWith>[0], RegExp]>([
    ["placement.tensorParallel", { placement: { gpus: 8, tensorParallel: 8 } }, /28 attention heads/],
    ["placement.engineTensorParallel", { placement: { gpus: 8, engineTensorParallel: 8 } }, /28 attention heads/],
    ["workload.policy.model", { workload: { policy: { model: "Qwen9-7B" } } }, /Qwen9-7B/],
    ["workload.responseTokens", { workload: { responseTokens: 40_000 } }, /32768/],
    ["gpu.name", { gpu: { name: "H1000" } }, /H1000/],
    ["gpu.totalBytes", { gpu: { name: "host" } }, /missing/],
    ["strategies.reward", { strategies: { reward: "host" } }, /rule/],
    // What `tideline run` would refuse to open.
    ["workload.reference.model", embedded("Mistral-7B-v0.3"), /and this is mistral$/],
    ["workload.reference.model", embedded(WINDOWED), /and this is qwen2 with a window of 4096 tokens$/],
    ["strategies.singlePolicyCopy", { strategies: { singlePolicyCopy: "cast" } }, /nothing to cast/],
    [
      "workload.policy.model.config.num_hidden_layers",
      { workload: { policy: { model: { name: "mine", config: { hidden_size: 64 } } } } },
      /num_hidden_layers/,
    ],
  ])("%s", (field, changes, message) => {
    const plan: Plan = planWith(changes);
    expect(() => predict(plan)).toThrow(
      expect.objectContaining({ code: "plan_invalid", message: expect.stringMatching(message) }),
    );
    expect(() => predict(plan)).toThrow(expect.objectContaining({ data: expect.objectContaining({ field }) }));
  });
});
