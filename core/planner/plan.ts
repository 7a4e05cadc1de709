/**
 * A plan: which models a PPO loop trains, on which GPUs and with which memory strategies. It is what a prediction starts
 * from, never what comes out of one, so a plan shared with somebody else is predicted again on their side.
 */
import { z } from "zod";
import { LIMITS, wholeSchema } from "../checkpoint/model-config.ts";
import { linkMeasurementSchema } from "../link-measurement.ts";
import { precisionSchema, statePrecisionSchema } from "../schedule/schedule.ts";
import { strategySetSchema } from "../schedule/strategies.ts";
import { isEmbedded } from "./gpus/planned-gpu.ts";

/** Largest counts taken: well past every cluster and batch, small enough that no product of them overflows 2^53. */
const MOST = { gpus: 2 ** 16, sequences: 2 ** 20, loraRank: 2 ** 12, threads: 2 ** 10 } as const;

const text = z.string().min(1).max(200);
const bytes = wholeSchema(1, Number.MAX_SAFE_INTEGER);
const gpus = wholeSchema(1, MOST.gpus);
const tokens = wholeSchema(1, LIMITS.maxPositions);
const sequences = wholeSchema(1, MOST.sequences);

/** A model of the catalogue by its name, or any other by its config.json. */
const modelSchema = z.union([text, z.strictObject({ name: text, config: z.record(z.string(), z.json()) })]);
export type PlannedModel = z.infer<typeof modelSchema>;

/** What a model is called in words and in commands. */
export function modelName(model: PlannedModel): string {
  return typeof model === "string" ? model : model.name;
}

export const OPTIMIZERS = ["adamw", "adamw_bf16", "adamw_8bit", "sgd"] as const;

const trainedRoleSchema = z.strictObject({
  model: modelSchema,
  /** Of weights on the device, and of gradients where launchers train. */
  precision: precisionSchema.default("bf16"),
  /** float32 copies of 16-bit weights, part of the optimizer's memory. */
  masterWeights: z.boolean().default(false),
  /** 32-bit weights that are computed with in bfloat16. */
  autocast: z.boolean().default(false),
  /** What the embedded engine keeps them in; left out, fp32. */
  gradients: statePrecisionSchema.exactOptional(),
  /** Moments in float32, bfloat16 or 8 bits; `sgd` has none. */
  optimizer: z.enum(OPTIMIZERS).default("adamw"),
  gradientCheckpointing: z.boolean().default(false),
  /** Left out, all weights are trained. */
  lora: z.strictObject({ rank: wholeSchema(1, MOST.loraRank) }).exactOptional(),
});
export type TrainedRole = z.infer<typeof trainedRoleSchema>;

export const FROZEN_PRECISIONS = [...precisionSchema.options, "int8", "fp8", "nf4"] as const;

export const frozenRoleSchema = z.strictObject({
  model: modelSchema,
  /** How it is stored; the strategy `int8` quantises one that is not yet. */
  precision: z.enum(FROZEN_PRECISIONS).default("bf16"),
});
export type FrozenRole = z.infer<typeof frozenRoleSchema>;

const workloadSchema = z.strictObject({
  policy: trainedRoleSchema,
  /** The model of `critic` with one value in place of the vocabulary. */
  critic: trainedRoleSchema,
  reference: frozenRoleSchema,
  /** `rule`: computed by a program, without weights. */
  reward: z.union([z.literal("rule"), frozenRoleSchema]),
  engine: z
    .strictObject({
      precision: precisionSchema.default("bf16"),
      kvCacheType: z.enum(["auto", "fp8_e4m3", "fp8_e5m2"]).default("auto"),
      /** Per GPU; left out, what the rollouts of a step need at once. */
      kvCacheBytes: bytes.exactOptional(),
      /** Sequences that one engine decodes together; left out, all that it is given. */
      runningSequences: sequences.exactOptional(),
      cudaGraphs: z.boolean().default(true),
    })
    .prefault({}),
  /** Rollouts of one PPO step, over all GPUs. */
  batch: sequences,
  promptTokens: tokens,
  responseTokens: tokens,
  /** Sequences that a GPU scores or trains on together. */
  microBatch: sequences.default(1),
  attention: z.enum(["eager", "sdpa", "flash"]).default("flash"),
  /** Sequences one behind the other instead of each padded to the longest. */
  packing: z.boolean().default(false),
  /** Log-probs and loss this many tokens at a time; left out, of a whole micro-batch at once. */
  lossChunkTokens: tokens.exactOptional(),
});
export type PlannedWorkload = z.infer<typeof workloadSchema>;

const sharding = {
  gpusPerNode: gpus.default(8),
  /** Of the trainer. */
  tensorParallel: gpus.default(1),
  /** What the data-parallel trainers share: 0 nothing, 1 optimizer, 2 and gradients, 3 and weights (as FSDP does). */
  zeroStage: z.literal([0, 1, 2, 3]).default(0),
  engineTensorParallel: gpus.default(1),
};

const placementSchema = z.discriminatedUnion("kind", [
  /** Trainers and engines on the same GPUs (S8). */
  z.strictObject({ kind: z.literal("colocated"), gpus, ...sharding }),
  /** The engines have GPUs of their own. */
  z.strictObject({ kind: z.literal("separate"), trainerGpus: gpus, engineGpus: gpus, ...sharding }),
]);
export type Placement = z.infer<typeof placementSchema>;

const bytesPerSecond = z.number().positive().max(Number.MAX_SAFE_INTEGER);

const gpuSchema = z.strictObject({
  /** In the catalogue. The figures below, where given, take the place of the catalogue's. */
  name: text,
  /** As CUDA reports it, not as it is sold. */
  totalBytes: bytes.exactOptional(),
  memoryBytesPerSecond: bytesPerSecond.exactOptional(),
  hostToDeviceBytesPerSecond: bytesPerSecond.exactOptional(),
  deviceToHostBytesPerSecond: bytesPerSecond.exactOptional(),
  /** What was measured of this very card, in place of the catalogue's; what is set above goes before it. */
  measured: linkMeasurementSchema.exactOptional(),
  /** The engine that ships with this program computes there, as `tideline run --device cuda:0` does; left out, launchers do. */
  embedded: z.literal(true).exactOptional(),
  /** Of the embedded engine: memory is mapped in pieces of this size, and so many threads of the device `host` compute. */
  chunkBytes: bytes.exactOptional(),
  threads: wholeSchema(1, MOST.threads).exactOptional(),
});
export type PlannedGpu = z.infer<typeof gpuSchema>;

const fieldsSchema = z.strictObject({
  version: z.literal(1),
  name: text,
  workload: workloadSchema,
  placement: placementSchema,
  gpu: gpuSchema,
  strategies: strategySetSchema.prefault({}),
});
export type Plan = z.infer<typeof fieldsSchema>;

/** Fields in their ranges, and together possible. What needs the model's shape, as heads that a TP divides, is not here. */
export const planSchema = fieldsSchema.superRefine((plan, context) => {
  for (const { path, message } of contradictionsOf(plan))
    context.addIssue({ code: "custom", path: [...path], message });
});

// ---------------------------------------------------------------------------------------------------------------------
// What follows from a placement

export interface Layout {
  readonly trainerGpus: number;
  readonly engineGpus: number;
  /** Data-parallel copies of the trainer. */
  readonly trainers: number;
  readonly engines: number;
}

export function layoutOf(placement: Placement): Layout {
  const { tensorParallel, engineTensorParallel } = placement;
  const colocated = placement.kind === "colocated";
  const trainerGpus = colocated ? placement.gpus : placement.trainerGpus;
  const engineGpus = colocated ? placement.gpus : placement.engineGpus;
  return {
    trainerGpus,
    engineGpus,
    trainers: trainerGpus / tensorParallel,
    engines: engineGpus / engineTensorParallel,
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Contradictions

export interface Contradiction {
  readonly path: readonly string[];
  readonly message: string;
}

/** What cannot be together in a plan whose fields are each in their range. */
export function contradictionsOf(plan: Plan): readonly Contradiction[] {
  return [...roleContradictions(plan), ...placementContradictions(plan), ...strategyContradictions(plan)];
}

function* roleContradictions({ workload, gpu }: Plan): Generator<Contradiction> {
  for (const role of ["policy", "critic"] as const) {
    const { precision, gradients, masterWeights, autocast } = workload[role];
    const path = (field: string) => ["workload", role, field];
    if (gradients !== undefined && !isEmbedded(gpu)) {
      yield {
        path: path("gradients"),
        message: "must be left out: launchers keep gradients in the weights' precision",
      };
    }
    if (masterWeights && precision === "fp32") {
      yield { path: path("masterWeights"), message: "must be off: fp32 weights are their own masters" };
    }
    if (autocast && precision !== "fp32") {
      yield { path: path("autocast"), message: `must be off: ${precision} weights are computed with as they are` };
    }
  }
  if (workload.microBatch > workload.batch) {
    const message = `must be at most the batch, ${workload.batch}`;
    yield { path: ["workload", "microBatch"], message };
  }
}

function* placementContradictions({ placement }: Plan): Generator<Contradiction> {
  const { gpusPerNode, tensorParallel, engineTensorParallel } = placement;
  const { trainerGpus, engineGpus } = layoutOf(placement);
  const counts = placement.kind === "colocated" ? { gpus: trainerGpus } : { trainerGpus, engineGpus };
  for (const [field, count] of Object.entries(counts)) {
    if (count > gpusPerNode && count % gpusPerNode !== 0) {
      const message = `must be a multiple of ${gpusPerNode}: ${count} GPUs do not fill nodes of ${gpusPerNode}`;
      yield { path: ["placement", field], message };
    }
  }
  if (trainerGpus % tensorParallel !== 0) {
    yield { path: ["placement", "tensorParallel"], message: undivided(tensorParallel, trainerGpus) };
  }
  if (engineGpus % engineTensorParallel !== 0) {
    yield { path: ["placement", "engineTensorParallel"], message: undivided(engineTensorParallel, engineGpus) };
  }
}

function undivided(parts: number, gpus: number): string {
  return `is ${parts}, and ${parts} does not divide ${gpus} GPUs: choose ${divisorsOf(gpus).join(", ")}`;
}

const MOST_PARTS = 64;

/** In how many equal parts something can be cut, as far as anybody cuts it. */
export function divisorsOf(count: number): readonly number[] {
  const parts = Array.from({ length: Math.min(count, MOST_PARTS) }, (_, index) => index + 1);
  return parts.filter((divisor) => count % divisor === 0);
}

function* strategyContradictions({ strategies, placement, workload }: Plan): Generator<Contradiction> {
  if (placement.kind === "separate") {
    const apart = "the engine has GPUs of its own";
    if (strategies.swap.method === "share") {
      yield { path: ["strategies", "swap", "method"], message: `cannot be "share": ${apart}. Choose copy` };
    }
    if (strategies.singlePolicyCopy !== "off") {
      yield { path: ["strategies", "singlePolicyCopy"], message: `must be off: ${apart}, so there are two copies` };
    }
  } else if (strategies.swap.method === "share") {
    const problem = unshareable(placement);
    if (problem !== undefined) {
      yield { path: ["strategies", "swap", "method"], message: `cannot be "share": ${problem}. Choose copy` };
    }
  }
  for (const role of ["reference", "reward"] as const) {
    const frozen = workload[role];
    if (!strategies.int8[role] || frozen === "rule" || isFloat(frozen.precision)) continue;
    yield { path: ["strategies", "int8", role], message: `must be off: the ${role} is ${frozen.precision} already` };
  }
}

/** Why the engine cannot read the weights as the trainer holds them. */
function unshareable(placement: Placement): string | undefined {
  const { tensorParallel, engineTensorParallel, zeroStage } = placement;
  if (zeroStage === 3 && layoutOf(placement).trainers > 1) return "ZeRO 3 keeps the policy's weights in shards";
  if (tensorParallel === engineTensorParallel) return undefined;
  return `trainer and engine divide the weights differently, by ${tensorParallel} and by ${engineTensorParallel}`;
}

function isFloat(precision: FrozenRole["precision"]): boolean {
  return precisionSchema.safeParse(precision).success;
}
