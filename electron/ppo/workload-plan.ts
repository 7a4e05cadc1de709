/**
 * A workload as the planner sees it: the same models, sizes and precisions on the same device. So that what a run will take
 * is predicted before it, and what it took is held against that.
 */
import { readFileSync } from "node:fs";
import { formatConfig } from "../../core/checkpoint/format-config.ts";
import { TidelineError } from "../../core/errors.ts";
import { HOST } from "../../core/planner/gpus/catalogue.ts";
import { embeddedOn } from "../../core/planner/gpus/planned-gpu.ts";
import type { FrozenRole, Plan, PlannedGpu, TrainedRole } from "../../core/planner/plan.ts";
import { planFrom } from "../../core/planner/plan-file.ts";
import { PLACED, type Placement } from "../../core/run/placement.ts";
import type { StrategySet } from "../../core/schedule/strategies.ts";
import type { Checkpoint } from "../session/checkpoint.ts";
import { rolesOf, type Workload } from "./workload.ts";

/**
 * The placement of `settings` is of what does not lie on the run's own device (workload.ts `settingsFor`).
 * @param card The run's own device, where that is a card of the catalogue; left out, the host.
 * @throws TidelineError `plan_invalid` for strategies that contradict each other, and for a placement that no plan can say.
 */
export function planOfWorkload(name: string, workload: Workload, strategies: StrategySet, card?: PlannedGpu): Plan {
  const { settings, checkpoints } = workload;
  const roles = rolesOf(workload);
  const trained = (role: "policy" | "critic"): Described<TrainedRole> => ({
    model: modelOf(checkpoints[role]),
    precision: roles[role],
    ...(settings.precision.gradients === "bf16" && { gradients: "bf16" }),
    optimizer: settings.precision.moments === "bf16" ? "adamw_bf16" : "adamw",
    masterWeights: settings.masterWeights && roles[role] !== "fp32",
    gradientCheckpointing: settings.checkpointing,
  });
  const frozen = (checkpoint: Checkpoint, precision: FrozenRole["precision"]): Described<FrozenRole> => ({
    model: modelOf(checkpoint),
    precision,
  });
  const { capacityBytes, kvCacheBytes, chunkBytes } = settings.device;
  const sizes = { totalBytes: capacityBytes, ...(chunkBytes !== undefined && { chunkBytes }) };
  const plan = {
    version: 1,
    name,
    workload: {
      policy: trained("policy"),
      critic: trained("critic"),
      reference: frozen(checkpoints.reference, roles.reference),
      reward:
        checkpoints.reward === undefined || roles.reward === "rule" ? "rule" : frozen(checkpoints.reward, roles.reward),
      engine: { precision: roles.engine, kvCacheBytes },
      // A step of fewer rollouts than a micro-batch has room for takes as much.
      batch: Math.max(settings.rollouts, settings.microBatch),
      promptTokens: Math.max(1, settings.sequenceTokens - settings.maxNewTokens),
      responseTokens: Math.min(settings.maxNewTokens, settings.sequenceTokens - 1),
      microBatch: settings.microBatch,
      lossChunkTokens: settings.logitRows,
    },
    placement: placementOf(settings.placement),
    gpu: card === undefined ? { name: HOST, threads: availableThreads(), ...sizes } : embeddedOn(card, sizes),
    strategies,
  };
  return planFrom(plan, `the plan of ${name}`);
}

/** A plan knows the engine apart from the trainers, and not one role from another. */
function placementOf(placement: Placement = {}) {
  const apart = PLACED.filter((placed) => placement[placed] !== undefined);
  if (apart.length === 0) return { kind: "colocated", gpus: 1 } as const;
  if (apart.every((placed) => placed === "engine")) {
    return { kind: "separate", trainerGpus: 1, engineGpus: 1 } as const;
  }
  throw new TidelineError({
    code: "plan_invalid",
    message: `a plan has all roles on the same GPUs, and here ${apart.join(", ")} lie elsewhere`,
    hint: "place the engine apart, or nothing",
  });
}

/** A role whose model is still to be read as JSON. */
type Described<Role> = Partial<Omit<Role, "model">> & { readonly model: ReturnType<typeof modelOf> };

function modelOf({ name, config }: Checkpoint) {
  return { name, config: formatConfig(config) };
}

/** As native/compute/host/thread_pool.cc counts them: the cores that this process may run on, whatever limits its time on them. */
function availableThreads(): number {
  const [, mask = "1"] = /^Cpus_allowed:\s*([0-9a-f,]+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return mask.split("").reduce((sum, digit) => sum + bitsOf(Number.parseInt(digit, 16) || 0), 0);
}

function bitsOf(digit: number): number {
  return (digit & 1) + ((digit >> 1) & 1) + ((digit >> 2) & 1) + ((digit >> 3) & 1);
}
