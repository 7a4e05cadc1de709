/**
 * What can be changed in a plan that does not fit: each edit with what it does to training, in steps from the smallest. An
 * edit that a plan has already, or that its placement does not allow, is not offered.
 */
import { formatBytes } from "../../units.ts";
import { GPUS, HOST } from "../gpus/catalogue.ts";
import { plannedGpu } from "../gpus/planned-gpu.ts";
import { layoutOf, type Placement, type Plan, type PlannedWorkload, type TrainedRole } from "../plan.ts";
import { storedAs, withKvCache } from "./variants.ts";

/** What an edit touches, the least first. */
export const EFFECTS = [
  /** The same numbers, up to rounding; at most it takes longer. */
  "speed",
  /** Some numbers in fewer bits. */
  "precision",
  /** Something else is trained. */
  "training",
  /** Other or more cards. */
  "hardware",
] as const;
export type Effect = (typeof EFFECTS)[number];

export interface Edit {
  /** The field of the plan that changes most. */
  readonly field: string;
  readonly effect: Effect;
  /** From the smallest change to the largest: what is tried until it fits. What fits with a step, fits with those after it. */
  readonly steps: readonly EditStep[];
}

export interface EditStep {
  /** "micro-batch 8 → 2" */
  readonly label: string;
  readonly apply: (plan: Plan) => Plan;
}

export function editsOf(plan: Plan): readonly Edit[] {
  return [
    checkpointing(plan),
    microBatch(plan),
    lossChunks(plan),
    attention(plan),
    runningSequences(plan),
    kvCacheBytes(plan),
    cudaGraphs(plan),
    kvCacheType(plan),
    frozenPrecision(plan, "reference"),
    frozenPrecision(plan, "reward"),
    trainedPrecision(plan),
    optimizer(plan),
    lora(plan),
    zeroStage(plan),
    engineTensorParallel(plan),
    gpus(plan),
    gpu(plan),
  ].filter((edit) => edit.steps.length > 0);
}

// ---------------------------------------------------------------------------------------------------------------------
// The same numbers

function checkpointing({ workload }: Plan): Edit {
  const lacks = trainedRoles(workload).some(({ gradientCheckpointing }) => !gradientCheckpointing);
  const apply = ofTrained(() => ({ gradientCheckpointing: true }));
  return {
    field: "workload.policy.gradientCheckpointing",
    effect: "speed",
    steps: lacks ? [{ label: "gradient checkpointing", apply }] : [],
  };
}

function microBatch({ workload: { microBatch: from } }: Plan): Edit {
  const sizes = halvings(from);
  return {
    field: "workload.microBatch",
    effect: "speed",
    steps: sizes.map((to) => ({ label: `micro-batch ${from} → ${to}`, apply: inWorkload({ microBatch: to }) })),
  };
}

/** Rows of a vocabulary that are computed at once without anybody noticing. */
const LOSS_CHUNK_TOKENS = 1024;

function lossChunks({ workload, gpu: { name } }: Plan): Edit {
  const { lossChunkTokens, microBatch: sequences, promptTokens, responseTokens } = workload;
  const rows = lossChunkTokens ?? sequences * (promptTokens + responseTokens);
  const chunk = inWorkload({ lossChunkTokens: LOSS_CHUNK_TOKENS });
  // The embedded engine always computes logits in chunks.
  const helps = rows > LOSS_CHUNK_TOKENS && name !== HOST;
  return {
    field: "workload.lossChunkTokens",
    effect: "speed",
    steps: helps ? [{ label: `log-probs ${LOSS_CHUNK_TOKENS} tokens at a time`, apply: chunk }] : [],
  };
}

function attention({ workload: { attention: kernel }, gpu: { name } }: Plan): Edit {
  const apply = inWorkload({ attention: "flash" });
  return {
    field: "workload.attention",
    effect: "speed",
    steps: kernel !== "flash" && name !== HOST ? [{ label: "flash attention", apply }] : [],
  };
}

function runningSequences({ workload, placement }: Plan): Edit {
  const { batch, engine } = workload;
  const from = engine.runningSequences ?? Math.ceil(batch / layoutOf(placement).engines);
  return {
    field: "workload.engine.runningSequences",
    effect: "speed",
    steps:
      engine.kvCacheBytes !== undefined
        ? []
        : halvings(from).map((to) => ({
            label: `${to} sequences decoded together instead of ${from}`,
            apply: inEngine({ runningSequences: to }),
          })),
  };
}

function kvCacheBytes({ workload: { engine } }: Plan): Edit {
  const from = engine.kvCacheBytes ?? 0;
  return {
    field: "workload.engine.kvCacheBytes",
    effect: "speed",
    steps: [2, 4, 8, 16]
      .map((part) => Math.floor(from / part))
      .filter((to) => to > 0)
      .map((to) => ({
        label: `KV cache ${formatBytes(from)} → ${formatBytes(to)}`,
        apply: inEngine({ kvCacheBytes: to }),
      })),
  };
}

function cudaGraphs({ workload: { engine }, gpu: { name } }: Plan): Edit {
  return {
    field: "workload.engine.cudaGraphs",
    effect: "speed",
    steps:
      engine.cudaGraphs && name !== HOST ? [{ label: "no CUDA graphs", apply: inEngine({ cudaGraphs: false }) }] : [],
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Fewer bits

function kvCacheType({ workload: { engine }, gpu: { name } }: Plan): Edit {
  const apply = (plan: Plan) => withKvCache(plan, "fp8_e4m3");
  const helps = engine.kvCacheType === "auto" && engine.kvCacheBytes === undefined && name !== HOST;
  return {
    field: "workload.engine.kvCacheType",
    effect: "precision",
    steps: helps ? [{ label: "KV cache in fp8", apply }] : [],
  };
}

function frozenPrecision({ workload, strategies, gpu: { name } }: Plan, role: "reference" | "reward"): Edit {
  const frozen = workload[role];
  const stored = frozen === "rule" ? undefined : strategies.int8[role] ? "int8" : frozen.precision;
  const smaller = stored === undefined ? [] : (["int8", "nf4"] as const).slice(ORDER.indexOf(stored));
  return {
    field: `workload.${role}.precision`,
    effect: "precision",
    steps: smaller
      .filter((precision) => name !== HOST || precision === "int8")
      .map((precision) => ({
        label: `${role} in ${precision}`,
        apply: (plan) => storedAs(plan, role, precision),
      })),
  };
}

/** By how many steps of `frozenPrecision` a precision is down already. */
const ORDER: readonly string[] = ["fp32", "int8", "nf4"];

function trainedPrecision({ workload }: Plan): Edit {
  const wide = trainedRoles(workload).some(({ precision }) => precision === "fp32");
  const apply = ofTrained((role) =>
    role.precision === "fp32" ? { precision: "bf16", autocast: false, masterWeights: true } : {},
  );
  const narrowEngine = (plan: Plan) => inEngine({ precision: "bf16" })(apply(plan));
  return {
    field: "workload.policy.precision",
    effect: "precision",
    steps: wide ? [{ label: "weights and gradients in bf16, masters in fp32", apply: narrowEngine }] : [],
  };
}

function optimizer({ workload, gpu: { name } }: Plan): Edit {
  const roles = trainedRoles(workload);
  const down = ["adamw", "adamw_bf16", "adamw_8bit"] as const;
  const from = Math.min(...roles.map((role) => (role.optimizer === "sgd" ? 2 : down.indexOf(role.optimizer))));
  const words = { adamw: "fp32", adamw_bf16: "bf16", adamw_8bit: "8 bits" } as const;
  return {
    field: "workload.policy.optimizer",
    effect: "precision",
    steps:
      name === HOST
        ? []
        : down.slice(from + 1).map((to) => ({
            label: `AdamW's moments in ${words[to]}`,
            apply: ofTrained((role) => (role.optimizer === "sgd" ? {} : { optimizer: to })),
          })),
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Something else is trained

const LORA_RANK = 32;

function lora({ workload, gpu: { name } }: Plan): Edit {
  const whole = trainedRoles(workload).some((role) => role.lora === undefined);
  const apply = ofTrained((role) =>
    role.lora === undefined ? { lora: { rank: LORA_RANK }, masterWeights: false } : {},
  );
  return {
    field: "workload.policy.lora",
    effect: "training",
    steps: whole && name !== HOST ? [{ label: `LoRA of rank ${LORA_RANK} for policy and critic`, apply }] : [],
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Other cards

function zeroStage({ placement, strategies }: Plan): Edit {
  const { zeroStage: from } = placement;
  const most = strategies.swap.method === "share" ? 2 : 3;
  const stages = ([1, 2, 3] as const).filter((stage) => stage > from && stage <= most);
  return {
    field: "placement.zeroStage",
    effect: "speed",
    steps:
      layoutOf(placement).trainers === 1
        ? []
        : stages.map((stage) => ({ label: `ZeRO ${from} → ${stage}`, apply: inPlacement({ zeroStage: stage }) })),
  };
}

function engineTensorParallel({ placement }: Plan): Edit {
  const { engineTensorParallel: from, gpusPerNode } = placement;
  const { engineGpus } = layoutOf(placement);
  const sizes = doublings(from).filter((to) => engineGpus % to === 0 && to <= gpusPerNode);
  return {
    field: "placement.engineTensorParallel",
    effect: "speed",
    steps: sizes.map((to) => ({
      label: `engine over ${to} GPUs instead of ${from}`,
      apply: inPlacement({ engineTensorParallel: to }),
    })),
  };
}

/** More than this many times the GPUs is another plan. */
const MOST_TIMES = 16;

function gpus(plan: Plan): Edit {
  const { placement, gpu: planned } = plan;
  const { trainerGpus: from } = layoutOf(placement);
  const counts = doublings(from).filter(
    (to) => to <= MOST_TIMES * from && (to <= placement.gpusPerNode || to % placement.gpusPerNode === 0),
  );
  return {
    field: placement.kind === "colocated" ? "placement.gpus" : "placement.trainerGpus",
    effect: "hardware",
    steps:
      planned.name === HOST
        ? []
        : counts.map((to) => ({
            label: `${to} GPUs instead of ${from}${placement.kind === "separate" ? " for the trainer" : ""}, ZeRO 3`,
            apply: (changed) => withGpus(changed, to),
          })),
  };
}

/** Weights in shards cannot be read by the engine as they are. */
function withGpus(plan: Plan, count: number): Plan {
  const { strategies } = plan;
  const more = plan.placement.kind === "colocated" ? { gpus: count } : { trainerGpus: count };
  const swap = strategies.swap.method === "share" ? ({ method: "copy" } as const) : strategies.swap;
  const placement = { ...plan.placement, ...more, zeroStage: 3 } as Placement;
  return { ...plan, placement, strategies: { ...strategies, swap } };
}

function gpu({ gpu: planned }: Plan): Edit {
  const size = plannedGpu(planned).totalBytes.value;
  const larger = GPUS.filter(({ totalBytes }) => totalBytes.value > size * 1.01).toSorted(
    (one, other) => one.totalBytes.value - other.totalBytes.value,
  );
  return {
    field: "gpu.name",
    effect: "hardware",
    steps:
      planned.name === HOST
        ? []
        : larger.map(({ name }) => ({
            label: `${name} instead of ${planned.name}`,
            apply: (plan) => ({ ...plan, gpu: { name } }),
          })),
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Making edits

function halvings(from: number): readonly number[] {
  const sizes: number[] = [];
  for (let size = Math.floor(from / 2); size >= 1; size = Math.floor(size / 2)) sizes.push(size);
  return sizes;
}

function doublings(from: number): readonly number[] {
  return [2, 4, 8, 16, 32, 64].map((times) => times * from);
}

function trainedRoles({ policy, critic }: PlannedWorkload): readonly TrainedRole[] {
  return [policy, critic];
}

function ofTrained(change: (role: TrainedRole) => Partial<TrainedRole>): EditStep["apply"] {
  return (plan) => {
    const { policy, critic } = plan.workload;
    return inWorkload({ policy: { ...policy, ...change(policy) }, critic: { ...critic, ...change(critic) } })(plan);
  };
}

function inWorkload(change: Partial<PlannedWorkload>): EditStep["apply"] {
  return (plan) => ({ ...plan, workload: { ...plan.workload, ...change } });
}

function inEngine(change: Partial<PlannedWorkload["engine"]>): EditStep["apply"] {
  return (plan) => inWorkload({ engine: { ...plan.workload.engine, ...change } })(plan);
}

function inPlacement(change: Partial<Pick<Placement, "zeroStage" | "engineTensorParallel">>): EditStep["apply"] {
  return (plan) => ({ ...plan, placement: { ...plan.placement, ...change } });
}
