/** Training: a role's forward and backward passes, its optimizer, and PPO's advantages. */
import type { LongOperation, Receipt, RegionObservation, ReleaseOptions } from "./memory.d.ts";
import type { DType } from "./tensors.d.ts";

/** Activations and logits of several trainers on one device, of which one computes at a time. */
export interface NativeScratch {
  /** `activations`, `logits`: created released. */
  observe(): readonly RegionObservation[];
  release(tag: "activations" | "logits", options: ReleaseOptions): Promise<Receipt>;
  resume(tag: "activations" | "logits", operation?: LongOperation): Promise<Receipt>;
  /** After the trainers that use it. */
  close(): Promise<void>;
}

/** Of a trainer's own state. */
export type GradientDType = Exclude<DType, "float16">;

export interface TrainerLimits {
  /** Sequences computed together: 1. Any number gives the same gradients, where those are float32. */
  readonly microBatch?: number;
  /** Most tokens of one sequence: 512, or the model's maxPositions if that is less. */
  readonly sequenceTokens?: number;
  /** Rows of logits held at once: 128. */
  readonly logitRows?: number;
  /** Keep only the layers' inputs, and compute the rest again in the backward pass: false. */
  readonly checkpointing?: boolean;
  /** false: scores only, without gradients and optimizer. */
  readonly trainable?: boolean;
  /** float32 copies of weights that are stored in fewer bits, in the optimizer's region: false. */
  readonly masterWeights?: boolean;
  /** What gradients are kept in: float32. In bfloat16 every micro-batch's are added in float32 and rounded. */
  readonly gradientDtype?: GradientDType;
  /** What Adam's moments are kept in, both running means: float32. Updates are computed in float32 and rounded. */
  readonly momentDtype?: GradientDType;
  /** All cores. Any number gives the same bits. */
  readonly threads?: number;
}

/** What a trainer's regions reserve, before rounding up to chunks. */
export interface TrainingBytes {
  readonly gradientsBytes: number;
  readonly optimizerBytes: number;
  readonly activationsBytes: number;
  readonly logitsBytes: number;
}

export interface TrainingSequence {
  /** Prompt and response, without padding. */
  readonly ids: readonly number[] | Uint32Array | Int32Array;
  /** Where the tokens, or the rows, of interest begin. */
  readonly from?: number;
}

/** Any list of numbers of the addon's arithmetic. */
export type Numbers = readonly number[] | Float32Array | Float64Array;

/** Per token from `from` (1): log-prob given the ones before, and entropy of the distribution it was drawn from. */
export interface TokenScores {
  readonly logprobs: Float32Array;
  readonly entropies: Float32Array;
}

/** `from` is where the response begins; one number per token of the response. */
export interface PolicySequence extends TrainingSequence {
  readonly oldLogprobs: Numbers;
  readonly advantages: Numbers;
}

/** Values are read at rows `from` … `from + returns.length`: to value a response's tokens, its first row is the prompt's last. */
export interface CriticSequence extends TrainingSequence {
  readonly oldValues: Numbers;
  readonly returns: Numbers;
}

export interface LossOptions extends LongOperation {
  /** The loss is the mean over so many tokens: those given. Set it when one batch is spread over several calls. */
  readonly lossTokens?: number;
}

export interface PolicyLossOptions extends LossOptions {
  readonly clipRange: number;
  /** Of the mean entropy that is subtracted from the loss: 0. */
  readonly entropyCoefficient?: number;
}

export interface CriticLossOptions extends LossOptions {
  /** Plain regression when left out. */
  readonly clipRange?: number;
}

export interface PolicyStatistics {
  readonly loss: number;
  readonly entropy: number;
  readonly clipFraction: number;
  /** Mean of (ratio - 1) - log(ratio). */
  readonly approximateKl: number;
  readonly tokens: number;
}
export interface CriticStatistics {
  readonly loss: number;
  readonly clipFraction: number;
  readonly tokens: number;
}
export interface LanguageStatistics {
  /** Mean cross-entropy, in nats. */
  readonly loss: number;
  readonly tokens: number;
}

/** AdamW: decoupled weight decay, on every tensor. */
export interface OptimizerOptions {
  readonly learningRate: number;
  readonly beta1?: number; // 0.9
  readonly beta2?: number; // 0.95
  readonly eps?: number; // 1e-8
  readonly weightDecay?: number; // 0.01
  /** Gradients are scaled by min(1, this / (norm + 1e-6)): 1. */
  readonly maxGradientNorm?: number;
}

export interface UpdateReceipt {
  /** L2 over all tensors, before clipping. */
  readonly gradientNorm: number;
  readonly clipCoefficient: number;
  /** Counts from 1. */
  readonly step: number;
}

export type TrainerTag = "gradients" | "optimizer" | "activations" | "logits";

/**
 * Computes with one model over whole sequences. Its regions (`<prefix>.gradients`, `<prefix>.optimizer`, `activations`,
 * `logits`) are created released. Scoring needs the last two resident, steps the gradients too, an update gradients and
 * optimizer. Progress is counted in rows through layers.
 *
 * Gradients start at zero after an update, and after their region was discarded. A step that fails or is cancelled
 * drops what was accumulated; weights and optimizer change only in `optimizerStep`, which leaves them as they were when it
 * fails (`not_finite`, with `tensor`), or, where a device gave up halfway, undefined.
 */
export interface NativeTrainer {
  /** Those that a trainer of its kind has, in the order above. */
  observe(): readonly RegionObservation[];
  /** For models with a language model's head. */
  scoreTokens(sequences: readonly TrainingSequence[], operation?: LongOperation): Promise<readonly TokenScores[]>;
  /** For models with a value head: the value of each row from `from` (0). A reward model's score is the last one. */
  values(sequences: readonly TrainingSequence[], operation?: LongOperation): Promise<readonly Float32Array[]>;
  /** Forward and backward of the clipped policy loss; adds to the gradients. */
  policyStep(sequences: readonly PolicySequence[], options: PolicyLossOptions): Promise<PolicyStatistics>;
  /** The same of the clipped value loss. */
  criticStep(sequences: readonly CriticSequence[], options: CriticLossOptions): Promise<CriticStatistics>;
  /** The same of the cross-entropy of the tokens from `from` (1). */
  languageStep(sequences: readonly TrainingSequence[], options?: LossOptions): Promise<LanguageStatistics>;
  /** Drops what was accumulated, as after an update that was refused: the next step begins at zero. */
  zeroGradients(): Promise<void>;
  /**
   * Clips and applies the gradients. `busy` while an engine that shares the model has requests under way (those that a pause
   * retracted excepted, they go on with the new weights); afterwards its weightsVersion has counted up.
   */
  optimizerStep(options: OptimizerOptions): Promise<UpdateReceipt>;
  /**
   * Casts the master weights into the model, resuming it if needed: the model may be discarded while only the optimizer
   * keeps its weights. The bits are those of the last update. Errors: unsupported, contents_undefined, out_of_memory.
   */
  restoreWeights(operation?: LongOperation): Promise<Receipt>;
  /**
   * Takes memory for the optimizer's state on the host and none on the device, for a state that has no room there. As long
   * as it is on the host, also after a release to it, optimizerStep passes it through the activations' memory piece by
   * piece: the same bits, at the speed of the link. Errors: already_resident, already_released, out_of_memory, cancelled.
   */
  keepOptimizerOnHost(operation?: LongOperation): Promise<Receipt>;
  /** Forgets the optimizer's state: the next update is step 1. Needed after other weights were loaded. */
  resetOptimizer(): Promise<void>;
  /** As accumulated, before clipping; widened to float32. */
  readGradient(name: string): Promise<Float32Array>;
  release(tag: TrainerTag, options: ReleaseOptions): Promise<Receipt>;
  resume(tag: TrainerTag, operation?: LongOperation): Promise<Receipt>;
  close(): Promise<void>;
}

/** One row per sequence, one number per token of its response. */
export interface PpoInputs {
  readonly oldLogprobs: readonly Numbers[];
  readonly referenceLogprobs: readonly Numbers[];
  readonly values: readonly Numbers[];
  /** One per sequence, added to the reward of its last token. */
  readonly scores: Numbers;
  readonly klCoefficient: number;
  readonly gamma: number;
  readonly lambda: number;
}
export interface PpoAdvantages {
  readonly rewards: readonly Float64Array[];
  readonly advantages: readonly Float64Array[];
  /** Over all tokens: mean 0, variance 1. */
  readonly whitenedAdvantages: readonly Float64Array[];
  readonly returns: readonly Float64Array[];
  /** Mean over tokens of old less reference log-prob. */
  readonly meanKl: number;
}
