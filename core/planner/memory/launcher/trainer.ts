/** What trained and frozen roles keep on one of a PyTorch trainer's GPUs, and what their passes take beside it. */
import { type Architecture, elementsOf, layerTensors } from "../../models/architecture.ts";
import { type FrozenRole, layoutOf, type TrainedRole } from "../../plan.ts";
import { shared, type Term } from "../../provenance.ts";
import type { ResolvedPlan, ResolvedRole } from "../../resolve.ts";
import type { PassMemory } from "../footprint.ts";
import { type PassAnswer, type PassQuestion, passOf } from "./passes.ts";

const FLOAT_BYTES = 4;

/** Of the weights of linear layers, where they are kept in fewer than 16 bits. */
const QUANTISED_BYTES = {
  int8: 1,
  fp8: 1,
  /** Four bits, and 0.127 for constants that are quantised themselves (QLoRA). */
  nf4: (4 + 0.127) / 8,
} as const;

/** AdamW's two moments; bitsandbytes keeps a float32 scale for each 256 numbers. */
const MOMENT_BYTES = { adamw: 2 * 4, adamw_bf16: 2 * 2, adamw_8bit: 2 * (1 + 4 / 256), sgd: 0 } as const;

/** What is needed at once while a role trains. */
export interface TrainingMemory {
  readonly weights: readonly Term[];
  readonly gradients: readonly Term[];
  readonly optimizer: readonly Term[];
  readonly train: PassMemory;
}

export interface TrainedMemory extends TrainingMemory {
  readonly score: PassMemory;
}

export interface FrozenMemory {
  readonly weights: readonly Term[];
  readonly score: PassMemory;
}

export function trainedMemory(resolved: ResolvedPlan, role: ResolvedRole<TrainedRole>): TrainedMemory {
  const { architecture, planned } = role;
  const score = trainedPass(resolved, role, "score");
  return {
    ...trainingMemory(resolved, role),
    score: gathered(resolved, architecture, score, floatBytes(planned.precision), false),
  };
}

export function trainingMemory(resolved: ResolvedPlan, role: ResolvedRole<TrainedRole>): TrainingMemory {
  const { plan } = resolved;
  const { zeroStage } = plan.placement;
  const { trainers } = layoutOf(plan.placement);
  const { architecture, planned } = role;
  const itemBytes = floatBytes(planned.precision);
  const train = trainedPass(resolved, role, "train");

  const weights = weightTerms(train, planned.precision);
  const trainedWeights = train.gradientBytes / (planned.lora === undefined ? itemBytes : FLOAT_BYTES);
  const gradients: Term[] = [identity("one for each trained weight", train.gradientBytes)];
  const optimizer = optimizerTerms(planned, trainedWeights);
  return {
    weights: shared(weights, zeroStage >= 3 ? trainers : 1),
    gradients: shared(gradients, zeroStage >= 2 ? trainers : 1),
    optimizer: shared(optimizer, zeroStage >= 1 ? trainers : 1),
    train: gathered(resolved, architecture, train, itemBytes, true),
  };
}

function trainedPass(resolved: ResolvedPlan, role: ResolvedRole<TrainedRole>, kind: "score" | "train"): PassAnswer {
  const { precision, lora, autocast, gradientCheckpointing } = role.planned;
  return passOfRole(resolved, role, {
    kind,
    itemBytes: floatBytes(precision),
    quantisedBytes: undefined,
    loraRank: lora?.rank,
    autocast,
    checkpointing: kind === "train" && gradientCheckpointing,
  });
}

/** Below ZeRO 3, launchers keep frozen models whole on every trainer. */
export function frozenMemory(resolved: ResolvedPlan, role: ResolvedRole<FrozenRole>): FrozenMemory {
  const { plan } = resolved;
  const { trainers } = layoutOf(plan.placement);
  const { precision } = role.planned;
  const itemBytes = floatBytes(precision);
  const answer = passOfRole(resolved, role, {
    kind: "score",
    itemBytes,
    quantisedBytes: quantisedBytes(precision),
    loraRank: undefined,
    autocast: false,
    checkpointing: false,
  });
  return {
    weights: shared(weightTerms(answer, precision), plan.placement.zeroStage >= 3 ? trainers : 1),
    score: gathered(resolved, role.architecture, answer, itemBytes, false),
  };
}

type OfRole = "kind" | "itemBytes" | "quantisedBytes" | "loraRank" | "autocast" | "checkpointing";

function passOfRole(
  { plan: { workload, placement }, gpu }: ResolvedPlan,
  { architecture, head }: ResolvedRole<TrainedRole | FrozenRole>,
  { kind, itemBytes, quantisedBytes, loraRank, autocast, checkpointing }: Pick<PassQuestion, OfRole>,
): PassAnswer {
  const tokens = workload.promptTokens + workload.responseTokens;
  const { packing, microBatch } = workload;
  return passOf(architecture, {
    kind,
    head,
    sequences: packing ? 1 : microBatch,
    length: packing ? microBatch * tokens : tokens,
    // Padding, or the borders between packed sequences; FlashAttention needs no mask for either.
    masked: true,
    attention: workload.attention,
    autocast,
    checkpointing,
    itemBytes,
    quantisedBytes,
    loraRank,
    // A value has no vocabulary whose rows could be computed in parts.
    lossRows: head === "language" ? workload.lossChunkTokens : undefined,
    tensorParallel: placement.tensorParallel,
    multiprocessors: gpu.multiprocessors,
    cublasBytes: gpu.cublasBytes,
  });
}

function floatBytes(precision: FrozenRole["precision"]): number {
  return precision === "fp32" ? FLOAT_BYTES : 2;
}

function quantisedBytes(precision: FrozenRole["precision"]): number | undefined {
  return precision === "int8" || precision === "fp8" || precision === "nf4" ? QUANTISED_BYTES[precision] : undefined;
}

function weightTerms({ weightsBytes, adapterBytes }: PassAnswer, precision: FrozenRole["precision"]): readonly Term[] {
  const weights = identity(`weights in ${precision}`, weightsBytes);
  return adapterBytes === 0 ? [weights] : [weights, identity("adapters in fp32", adapterBytes)];
}

function optimizerTerms({ optimizer, masterWeights, lora }: TrainedRole, trainedWeights: number): readonly Term[] {
  const moments = MOMENT_BYTES[optimizer];
  return [
    ...(moments > 0 ? [identity(`AdamW's two moments (${optimizer})`, trainedWeights * moments)] : []),
    // Adapters are in float32 already.
    ...(masterWeights && lora === undefined ? [identity("float32 master weights", trainedWeights * FLOAT_BYTES)] : []),
  ];
}

function identity(cause: string, bytes: number): Term {
  return { cause, amount: Math.ceil(bytes), provenance: "identity" };
}

// ---------------------------------------------------------------------------------------------------------------------
// ZeRO

/** While one layer computes, the weights of the next are fetched. */
const LAYERS_GATHERED = 2;
const SHARDING = "one layer computes while the next one is fetched, as FSDP does";

/** What sharding brings together for a pass. */
function gathered(
  { plan: { placement } }: ResolvedPlan,
  architecture: Architecture,
  pass: PassMemory,
  itemBytes: number,
  trains: boolean,
): PassMemory {
  const { trainers } = layoutOf(placement);
  if (trainers === 1 || placement.zeroStage < 2) return pass;
  const layerBytes = (largestLayer(architecture) * itemBytes) / placement.tensorParallel;
  const terms: Term[] = [];
  const add = (cause: string, bytes: number) =>
    terms.push({ cause, amount: Math.ceil(bytes), provenance: "assumption", source: SHARDING });
  if (placement.zeroStage === 3) add("gathered weights of two layers", LAYERS_GATHERED * layerBytes);
  if (trains) add("gradients of a layer before they are shared", layerBytes);
  return { activations: [...pass.activations, ...terms], logits: pass.logits };
}

const largest = new WeakMap<Architecture, number>();

/** Weights of the largest block: a layer, or the embedding. */
function largestLayer(architecture: Architecture): number {
  const known = largest.get(architecture) ?? largestOf(architecture);
  largest.set(architecture, known);
  return known;
}

function largestOf(architecture: Architecture): number {
  const layers = architecture.runs.map(({ layer }) =>
    layerTensors(architecture, layer).reduce((sum, tensor) => sum + elementsOf(tensor), 0),
  );
  return Math.max(architecture.vocabSize * architecture.hiddenSize, ...layers);
}
