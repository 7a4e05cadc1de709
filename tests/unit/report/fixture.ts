/** A report of a small run, made by hand: two phases of three steps, so that every figure in it can be counted. */
import type { ReportAction, ReportedRun, RunReport } from "../../../core/report/report.ts";
import type { PhaseRecord, RolloutSample, StepRecord } from "../../../core/run/records.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES, strategySetSchema } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import { storeOf } from "../timeline/samples.ts";

const ROLES: Roles = { engine: "fp32", policy: "fp32", critic: "fp32", reference: "fp32", reward: "rule" };
const START_SECONDS = 1_800_000_000;
export const CAPACITY_BYTES = 32 * MIB;

function phase(step: number, work: PhaseRecord["work"], at: number, holders: PhaseRecord["holders"]): PhaseRecord {
  const startSeconds = START_SECONDS + step + at;
  const peakBytes = Object.values(holders).reduce((sum: number, bytes) => sum + (bytes ?? 0), 0);
  return {
    step,
    work,
    startSeconds,
    endSeconds: startSeconds + 0.5,
    workSeconds: 0.4,
    memorySeconds: 0.1,
    peakBytes,
    holders,
  };
}

function stepRecord(step: number, kvBytes: number, samples: readonly RolloutSample[]): StepRecord {
  const phases = [
    phase(step, "rollout", 0, { "engine.weights": 2 * MIB, "engine.kv_cache": kvBytes }),
    phase(step, "train_policy", 0.5, { "policy.weights": 2 * MIB, activations: 5 * MIB, pool: MIB }),
  ];
  return {
    step,
    statistics: {
      reward: 0.25 + step / 10,
      kl: step / 100,
      policyLoss: -0.02,
      valueLoss: 0.1,
      entropy: 0.7 - step / 10,
      clipFraction: 0,
      responseTokens: 3,
    },
    workSeconds: 0.8,
    memorySeconds: 0.2,
    peakBytes: Math.max(...phases.map(({ peakBytes }) => peakBytes)),
    phases,
    samples: [...samples],
  };
}

export function reportedRun(kvBytes: number, samples: readonly RolloutSample[] = []): ReportedRun {
  const steps = [0, 1, 2].map((step) => stepRecord(step, kvBytes, samples));
  const peakBytes = Math.max(...steps.map((step) => step.peakBytes));
  return {
    schedule: buildSchedule(strategySetSchema.parse({ releaseKvCache: true, swap: { method: "copy" } }), ROLES),
    measurement: { steps: 3, peakBytes, stepSeconds: 1, memorySeconds: 0.2 },
    steps,
    openPhases: [],
  };
}

export interface Changes extends Partial<RunReport> {
  readonly samples?: readonly RolloutSample[];
}

/** Saves 12 MiB of 20 MiB. */
export function makeReport({
  samples = [{ prompt: "1+1=", response: "2", reward: 1 }],
  ...changes
}: Changes = {}): RunReport {
  const own = reportedRun(4 * MIB, samples);
  const resident = reportedRun(18 * MIB);
  const baseline: ReportedRun = {
    ...resident,
    schedule: buildSchedule(NO_STRATEGIES, ROLES),
    measurement: { ...resident.measurement, stepSeconds: 0.9, memorySeconds: 0.05 },
  };
  const last = own.steps.at(-1);
  const actions: readonly ReportAction[] = [
    {
      id: 0,
      timeSeconds: START_SECONDS + 2.1,
      kind: "resume",
      label: "resume engine.kv_cache",
      consumer: "engine.kv_cache",
      milliseconds: 2,
      work: "rollout",
      origin: "schedule",
      receipt: {
        action: "resume",
        consumer: "engine.kv_cache",
        method: "host",
        bytesFreed: 0,
        bytesRetained: 0,
        bytesCommitted: 4 * MIB,
        bytesCopied: 4_000_000,
        milliseconds: 2,
      },
    },
  ];
  const rows = [2, 2.1, 2.5, 2.999].map((at, index) => ({
    timeSeconds: START_SECONDS + at,
    used: 10 * MIB,
    total: CAPACITY_BYTES + 10,
    context: 10,
    pool: 0,
    committed: { "engine.weights": 2 * MIB, "engine.kv_cache": index === 1 ? 4 * MIB : 0 },
  }));
  return {
    settings: {
      version: "1.2.3",
      finishedSeconds: START_SECONDS + 3,
      command: "npx tideline run --report out.html",
      workload: {
        path: "/home/somebody/demo/workload.json",
        name: "demo",
        task: "addition",
        rollouts: 8,
        maxNewTokens: 4,
        sequenceTokens: 16,
        microBatch: 2,
        seed: 7,
        capacityBytes: CAPACITY_BYTES,
        kvCacheBytes: 4 * MIB,
        roles: ROLES,
        checkpoints: {
          policy: "/home/somebody/demo/small-policy",
          critic: "/home/somebody/demo/small-critic",
          reference: "/home/somebody/demo/small-policy",
        },
      },
      askedSteps: 3,
      devices: [
        {
          name: "host",
          description: "a processor",
          capacityBytes: CAPACITY_BYTES,
          holds: ["engine", "policy", "critic", "reference"],
        },
      ],
      learning: [["KL coefficient", "0.02"]],
    },
    own,
    baseline,
    ending: { kind: "completed" },
    quantisation: [],
    shownStep: {
      step: 2,
      actions,
      devices: [
        {
          name: "host",
          timeline: {
            samples: storeOf(rows),
            actions,
            phases: (last?.phases ?? []).map(({ work, ...times }) => ({ name: work, ...times })),
          },
        },
      ],
    },
    ...changes,
  };
}
