/**
 * A plan in which the engine has GPUs of its own, against a run of it on two devices: the trainers on the host, whose sizes
 * are known to the byte, and the engine on a card that the double of the driver plays.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { holdersOf } from "../../../core/planner/predict/figures.ts";
import { predict } from "../../../core/planner/predict/predict.ts";
import { peakOn } from "../../../core/run/records.ts";
import { type StrategySet, strategySetSchema } from "../../../core/schedule/strategies.ts";
import { planOfWorkload } from "../../../electron/ppo/workload-plan.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import type { CudaDouble } from "../cuda-double/cuda-double.ts";
import { demoWorkload, scheduleOf, start } from "../ppo/support.ts";

let double: CudaDouble;
beforeAll(async () => {
  double = await installComputeDouble();
}, 300_000);
afterAll(() => double.remove());

test.each<readonly [string, Partial<StrategySet>]>([
  ["everything resident", { swap: { method: "copy" } }],
  [
    "what may leave the device does",
    {
      ...{ releaseKvCache: true, swap: { method: "copy" }, reference: "host" },
      ...{ trainingMemoryOnlyWhileTraining: true, optimizerOnHost: true },
    },
  ],
])(
  "the trainers' device holds what is predicted of a trainer's GPU: %s",
  async (_, strategies) => {
    const workload = await demoWorkload({ rollouts: 4, miniBatches: 1, epochs: 1, placement: { engine: "cuda:0" } });
    const prediction = predict(planOfWorkload("apart", workload, strategySetSchema.parse(strategies)));
    const trainer = prediction.gpus.findIndex(({ kind }) => kind === "trainer");
    const { run } = await start(workload, scheduleOf(workload, strategies), { deviceName: "host" });
    const { run: state } = await run.go({ kind: "steps", steps: 2 });
    expect(state).toEqual({ status: "paused", reason: { kind: "reached" } });
    const predicted = prediction.phases.map(({ work, peaks }) => ({
      work,
      peakBytes: peaks[trainer]?.bytes,
      holders: holdersOf(peaks[trainer]),
    }));
    const phases = run.records.steps[1]?.phases ?? [];
    expect(predicted).toEqual(phases.map((phase) => ({ work: phase.work, ...peakOn(phase, "host") })));
  },
  300_000,
);
