/** The footprint of a plan that the embedded engine carries out: regions of sizes that are known to the byte. */
import { TidelineError } from "../../../errors.ts";
import type { StatePrecision } from "../../../schedule/schedule.ts";
import { MIB } from "../../../units.ts";
import { type Gpu, HOST } from "../../gpus/catalogue.ts";
import { type FrozenRole, layoutOf, type TrainedRole } from "../../plan.ts";
import { sumOf, type Term } from "../../provenance.ts";
import type { ResolvedPlan, ResolvedRole } from "../../resolve.ts";
import { type Footprint, type PassMemory, wholeChunks } from "../footprint.ts";
import {
  type Computer,
  kvCacheBytes,
  kvCacheFor,
  type StoredPrecision,
  type TrainingLimits,
  trainingBytes,
  weightsBytes,
  workspaceBytes,
} from "./regions.ts";
import { embeddedShape } from "./shape.ts";

/** native/memory: a huge page of the host, and the least that a GPU's driver maps. */
const CHUNK_BYTES = 2 * MIB;
/** electron/ppo/workload-settings.ts: rows of logits held at once, unless it says otherwise. */
const LOGIT_ROWS = 128;
const THREADS = 8;
/** A model that does not learn has none of these. */
const SCORING = {
  checkpointing: false,
  trainable: false,
  masterWeights: false,
  gradients: "fp32",
  moments: "fp32",
} as const satisfies Partial<TrainingLimits>;

export function embeddedFootprint(resolved: ResolvedPlan): Footprint {
  requireOneDeviceEach(resolved);
  const { workload, gpu } = resolved.plan;
  const computer: Computer =
    gpu.name === HOST
      ? { kind: "host", threads: gpu.threads ?? THREADS }
      : { kind: "gpu", cublasBytes: cublasBytesOf(resolved.gpu) };
  const { chunkBytes = CHUNK_BYTES } = gpu;
  const region = (cause: string, bytes: number): readonly Term[] =>
    bytes === 0
      ? []
      : [{ cause, amount: wholeChunks(bytes, chunkBytes), provenance: "identity", source: "the engine's own layout" }];
  const limits = {
    microBatch: workload.microBatch,
    sequenceTokens: workload.promptTokens + workload.responseTokens,
    logitRows: workload.lossChunkTokens ?? LOGIT_ROWS,
    computer,
  };

  const trained = ({ architecture, planned, head, field }: ResolvedRole<TrainedRole>) => {
    const shape = embeddedShape(architecture, field);
    const { precision, masterWeights, gradients = "fp32", gradientCheckpointing: checkpointing } = planned;
    const moments = momentPrecision(planned, field);
    const training = { ...limits, checkpointing, trainable: true, masterWeights, gradients, moments };
    const bytes = trainingBytes(shape, precision, head, training);
    return {
      ...bytes,
      weights: weightsBytes(shape, precision, head),
      gradientTerms: region(`gradients in ${gradients}`, bytes.gradients),
      optimizerTerms: region(stateWords(moments, masterWeights), bytes.optimizer),
    };
  };
  const frozen = ({ architecture, planned, head, field }: ResolvedRole<FrozenRole>) => {
    const shape = embeddedShape(architecture, field);
    const precision = storedPrecision(planned, field);
    const scoring = { ...limits, ...SCORING };
    return { weights: weightsBytes(shape, precision, head), ...trainingBytes(shape, precision, head, scoring) };
  };
  const policy = trained(resolved.policy);
  const critic = trained(resolved.critic);
  const reference = frozen(resolved.reference);
  const reward = resolved.reward && frozen(resolved.reward);
  const engine = embeddedShape(resolved.engine.architecture, resolved.engine.field);
  const sequences = Math.min(workload.batch, workload.engine.runningSequences ?? workload.batch);
  const kvBytes = kvCacheBytes(
    engine,
    workload.engine.kvCacheBytes ?? kvCacheFor(engine, sequences, limits.sequenceTokens),
  );
  requireBlock(kvBytes);

  // All trainers share one scratch memory, as large as the largest of them needs.
  const all = [policy, critic, reference, ...(reward === undefined ? [] : [reward])];
  const scratch: PassMemory = {
    activations: region("the most that a trainer needs", Math.max(...all.map(({ activations }) => activations))),
    logits: region("the most that a trainer needs", Math.max(...all.map(({ logits }) => logits))),
  };
  const engineWeights = region("weights", weightsBytes(engine, workload.engine.precision, "language"));
  const kvCache = region("whole blocks", kvBytes);
  const workspace = region(
    "one step of the engine",
    workspaceBytes(engine, workload.engine.precision, kvBytes, computer),
  );
  return {
    kept: {
      "engine.weights": engineWeights,
      "engine.kv_cache": kvCache,
      "policy.weights": region("weights", policy.weights),
      "policy.gradients": policy.gradientTerms,
      "policy.optimizer": policy.optimizerTerms,
      "critic.weights": region("weights", critic.weights),
      "critic.gradients": critic.gradientTerms,
      "critic.optimizer": critic.optimizerTerms,
      "reference.weights": region("weights", reference.weights),
      "reward.weights": region("weights", reward?.weights ?? 0),
    },
    passes: {
      score_policy: scratch,
      score_reference: scratch,
      ...(reward && { score_reward: scratch }),
      score_critic: scratch,
      train_critic: scratch,
      train_policy: scratch,
    },
    workspace: { terms: workspace, givenBackWith: [] },
    engineFixed: [],
    // What the process has before its first region is not counted against the capacity.
    context: { trainer: [], engine: [] },
    engine: {
      weightsBytes: sumOf(engineWeights),
      kvCacheBytes: sumOf(kvCache),
      forwardBytes: sumOf(workspace),
      cudaGraphBytes: 0,
      contextBytes: 0,
      nonTorchBytes: 0,
    },
    chunkBytes,
  };
}

/** What native/compute/cuda gives cuBLAS: 32 MiB on Hopper and newer, as PyTorch does, and 4 MiB before. */
function cublasBytesOf({ cublasBytes }: Gpu): number {
  return cublasBytes >= 32 * MIB ? 32 * MIB : 4 * MIB;
}

function storedPrecision({ precision }: FrozenRole, field: string): StoredPrecision {
  if (precision !== "fp8" && precision !== "nf4") return precision;
  throw refused(field.replace(/model$/, "precision"), `the embedded engine has no ${precision}`, "choose int8");
}

function stateWords(moments: StatePrecision, masterWeights: boolean): string {
  if (!masterWeights) return `moments in ${moments}`;
  return moments === "fp32" ? "moments and master weights in fp32" : `moments in ${moments}, master weights in fp32`;
}

function momentPrecision({ optimizer }: TrainedRole, field: string): StatePrecision {
  if (optimizer === "adamw") return "fp32";
  if (optimizer === "adamw_bf16") return "bf16";
  throw refused(field.replace(/model$/, "optimizer"), `the embedded engine has no ${optimizer}`, "choose adamw_bf16");
}

function requireOneDeviceEach({ plan: { placement } }: ResolvedPlan): void {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  if (trainerGpus === 1 && engineGpus === 1) return;
  throw refused(
    "placement",
    "the embedded engine computes on one device, and so do its trainers",
    "choose 1 GPU for both, or 1 for each",
  );
}

function requireBlock(kvBytes: number): void {
  if (kvBytes > 0) return;
  throw refused("workload.engine.kvCacheBytes", "does not hold one block of 16 tokens", "give it more");
}

function refused(field: string, problem: string, hint: string): TidelineError {
  return new TidelineError({ code: "plan_invalid", field, message: `${field}: ${problem}`, hint });
}
