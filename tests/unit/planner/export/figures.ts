/** Figures as a predictor would give them, round enough to compute with by hand. */
import type { EngineFigures, PredictedFigures } from "../../../../core/planner/export/figures.ts";
import { GIB } from "../../../../core/units.ts";

export const ENGINE: EngineFigures = {
  weightsBytes: 15 * GIB,
  kvCacheBytes: 20 * GIB,
  forwardBytes: 4 * GIB,
  cudaGraphBytes: 1 * GIB,
  contextBytes: 0.5 * GIB,
  nonTorchBytes: 0.5 * GIB,
  trainersAtStartBytes: 29.5 * GIB,
};

export const FIGURES: PredictedFigures = {
  gpuBytes: 80 * GIB,
  engine: ENGINE,
  phases: [
    {
      work: "rollout",
      bytes: { "engine.weights": 15 * GIB, "engine.kv_cache": 20 * GIB, "policy.weights": 15 * GIB, context: GIB },
    },
    {
      work: "score_reward",
      bytes: { "engine.weights": 15 * GIB, "reward.weights": 15 * GIB, activations: 0.75 * GIB, logits: 0.25 * GIB },
    },
    { work: "train_policy", bytes: { "policy.weights": 15 * GIB, "policy.optimizer": 60 * GIB, context: GIB } },
  ],
};

export function engineWith(changes: Partial<EngineFigures>): PredictedFigures {
  return { ...FIGURES, engine: { ...ENGINE, ...changes } };
}
