/** Runs of the demo, and what was predicted of them. */
import { gpuOfDevice } from "../../../core/planner/gpus/planned-gpu.ts";
import type { Plan, PlannedGpu } from "../../../core/planner/plan.ts";
import { predict } from "../../../core/planner/predict/predict.ts";
import type { Prediction } from "../../../core/planner/predict/prediction.ts";
import type { PhaseRecord } from "../../../core/run/records.ts";
import { type StrategySet, strategySetSchema } from "../../../core/schedule/strategies.ts";
import { planOfWorkload } from "../../../electron/ppo/workload-plan.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { demoWorkload, REWARD_MODEL, scheduleOf, start } from "../ppo/support.ts";
import { addon, IS_HOST, testDevice } from "../support.ts";

export interface Held {
  readonly plan: Plan;
  readonly prediction: Prediction;
  /** Of the second step: the first takes much of its memory only at its first use. */
  readonly phases: readonly PhaseRecord[];
}

/** The device to test, where it is no host: a card of the catalogue. */
function card(): PlannedGpu | undefined {
  const device = addon.probeDevices().find(({ name }) => name === testDevice());
  return IS_HOST || device === undefined ? undefined : gpuOfDevice(device);
}

/** Two steps of the demo with a reward model, and the prediction of them. */
export async function predictedAndRun(
  strategies: Partial<StrategySet>,
  changes: Partial<WorkloadSettings> = {},
): Promise<Held> {
  const { settings } = await demoWorkload();
  const roles = { ...settings.roles, reward: REWARD_MODEL };
  const workload = await demoWorkload({ rollouts: 64, miniBatches: 2, epochs: 1, roles, ...changes });
  const plan = planOfWorkload("demo", workload, strategySetSchema.parse(strategies), card());
  const prediction = predict(plan);
  const { run } = await start(workload, scheduleOf(workload, strategies));
  await run.go({ kind: "steps", steps: 2 });
  return { plan, prediction, phases: run.records.steps[1]?.phases ?? [] };
}
