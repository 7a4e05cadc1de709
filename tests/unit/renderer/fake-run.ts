/** A PPO run as the session would describe it: made by the rules of core/schedule, before its first item. */
import type { StepRecord } from "../../../core/run/records.ts";
import type { RunState, WorkloadSummary } from "../../../core/run/state.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { checkSchedule } from "../../../core/schedule/check.ts";
import { START } from "../../../core/schedule/cursor.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES, type StrategySet } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";

export const roles: Roles = { engine: "bf16", policy: "bf16", critic: "bf16", reference: "bf16", reward: "rule" };

export const workload: WorkloadSummary = {
  path: "/demo-ppo/workload.json",
  name: "demo-ppo",
  task: "addition",
  rollouts: 256,
  maxNewTokens: 4,
  sequenceTokens: 16,
  microBatch: 32,
  seed: 0,
  capacityBytes: 12 * MIB,
  kvCacheBytes: 4 * MIB,
  roles,
  checkpoints: { policy: "/demo-ppo/policy", critic: "/demo-ppo/critic", reference: "/demo-ppo/policy" },
};

export function runState(strategies: StrategySet = NO_STRATEGIES, change: Partial<RunState> = {}): RunState {
  const schedule = buildSchedule(strategies, roles);
  const check = checkSchedule(schedule);
  if (!check.ok) throw new Error(check.problem.message);
  return {
    id: 1,
    workload,
    devices: [
      { name: "host", capacityBytes: workload.capacityBytes, holds: ["engine", "policy", "critic", "reference"] },
    ],
    schedule,
    cursor: START,
    memory: check.start,
    phases: [],
    itemSeconds: 0,
    savings: { own: { steps: 0, peakBytes: 0, stepSeconds: 0, memorySeconds: 0 } },
    quantisation: [],
    ...change,
  };
}

export function stepRecord(step: number, reward = 0.5): StepRecord {
  const statistics = {
    reward,
    kl: 0.01,
    policyLoss: -0.02,
    valueLoss: 0.1,
    entropy: 0.7,
    clipFraction: 0.03,
    responseTokens: 2.9,
  };
  return {
    step,
    statistics,
    workSeconds: 0.2,
    memorySeconds: 0.05,
    peakBytes: 9 * MIB,
    phases: [],
    samples: [{ prompt: "7+15=", response: "22", reward: 1 }],
  };
}
