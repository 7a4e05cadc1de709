/** What the exports are given is what was predicted. */
import { describe, expect, it } from "vitest";
import { phaseBytes } from "../../../../core/planner/export/figures.ts";
import { figuresOf } from "../../../../core/planner/predict/figures.ts";
import { predict } from "../../../../core/planner/predict/predict.ts";
import { presetNamed } from "../../../../core/planner/presets.ts";
import { planWith } from "../plans.ts";

describe("figures", () => {
  it("tell each phase of the cards that do its work", () => {
    const figures = figuresOf(predict(presetNamed("8xh100-separate").plan));
    expect(phaseBytes(figures, "rollout", ["engine.kv_cache"])).toBeGreaterThan(0);
    expect(phaseBytes(figures, "rollout", ["policy.weights"])).toBe(0);
    expect(phaseBytes(figures, "score_reward", ["reward.weights"])).toBeGreaterThan(0);
    expect(phaseBytes(figures, "score_reward", ["engine.kv_cache"])).toBe(0);
    expect(figures.engine.trainersAtStartBytes).toBe(0);
  });

  it("count the engine in pieces that add up to what it holds in the rollout, beside the trainers", () => {
    const prediction = predict(planWith());
    const figures = figuresOf(prediction);
    const { weightsBytes, kvCacheBytes, forwardBytes, cudaGraphBytes, contextBytes, nonTorchBytes } = figures.engine;
    expect(phaseBytes(figures, "rollout", ["engine.weights"])).toBe(weightsBytes);
    expect(phaseBytes(figures, "rollout", ["engine.kv_cache"])).toBe(kvCacheBytes);
    expect(phaseBytes(figures, "rollout", ["workspace"])).toBe(forwardBytes + cudaGraphBytes);
    const trainers = phaseBytes(figures, "rollout", ["context"]) - contextBytes - nonTorchBytes;
    expect(trainers).toBeGreaterThan(0);
    expect(figures.engine.trainersAtStartBytes).toBe(
      trainers +
        phaseBytes(figures, "rollout", ["policy.weights", "policy.gradients", "policy.optimizer"]) +
        phaseBytes(figures, "rollout", ["critic.weights", "critic.gradients", "critic.optimizer"]) +
        phaseBytes(figures, "rollout", ["reference.weights"]),
    );
  });
});
