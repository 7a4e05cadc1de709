/**
 * What is predicted of the demo, against what a run of it took: the peak of every phase and who held it, under every
 * strategy. The embedded engine's regions have sizes that are known beforehand, so nothing less than equal is right.
 */
import { describe, expect, test } from "vitest";
import { holdersOf } from "../../../core/planner/predict/figures.ts";
import type { StrategySet } from "../../../core/schedule/strategies.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { LOSSLESS, TOGETHER } from "../ppo/support.ts";
import { predictedAndRun } from "./support.ts";

type Strategies = Partial<StrategySet>;

const ONE_BY_ONE: Readonly<Record<string, Strategies>> = {
  "everything resident": {},
  ...LOSSLESS,
  "int8 reference and reward": { int8: { reference: true, reward: true } },
};

/** Both sides phase by phase: bytes at the peak, and of whom. */
async function bothSides(strategies: Strategies, changes: Partial<WorkloadSettings> = {}) {
  const { prediction, phases } = await predictedAndRun(strategies, changes);
  return {
    predicted: prediction.phases.map(({ work, peaks }) => ({
      work,
      peakBytes: peaks[0]?.bytes,
      holders: holdersOf(peaks[0]),
    })),
    measured: phases.map(({ work, peakBytes, holders }) => ({ work, peakBytes, holders })),
  };
}

describe("the peak of every phase and its holders", () => {
  test.each(Object.entries(ONE_BY_ONE))("%s", async (_, strategies) => {
    const { predicted, measured } = await bothSides(strategies);
    expect(measured).toHaveLength(9);
    expect(predicted).toEqual(measured);
  });

  test("all together", async () => {
    const { predicted, measured } = await bothSides(TOGETHER);
    expect(predicted).toEqual(measured);
  });

  test.each<readonly [string, Partial<WorkloadSettings>, Strategies]>([
    ["bf16 policy with float32 masters", { precision: { policy: "bf16" } }, TOGETHER],
    ["gradients and moments in bf16", { precision: { gradients: "bf16", moments: "bf16" } }, {}],
    [
      "gradients and moments in bf16 beside float32 masters, streamed",
      { precision: { policy: "bf16", gradients: "bf16", moments: "bf16" } },
      { ...TOGETHER, optimizerStreamed: true },
    ],
    ["bf16 engine", { precision: { engine: "bf16" } }, { singlePolicyCopy: "cast", swap: { method: "copy" } }],
    ["gradient checkpointing", { checkpointing: true }, { trainingMemoryOnlyWhileTraining: true }],
    ["another micro-batch, fewer logits at once", { microBatch: 7, logitRows: 33 }, {}],
  ])("%s", async (_, changes, strategies) => {
    const { predicted, measured } = await bothSides(strategies, changes);
    expect(predicted).toEqual(measured);
  });
});
