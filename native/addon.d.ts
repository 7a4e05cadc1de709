/**
 * Types of the Node-API addon (native/build/Release/tideline.node): the hand-written mirror of native/addon/.
 * Every method that does work returns a promise and runs on the addon's own threads. Every failure is an `Error` with
 * `code` (core/errors.ts) and its details as own properties (`requestedBytes`, `holders`, `tensor`, `file`, …), and has
 * changed nothing. Sizes are bytes, times are milliseconds for costs and Unix seconds for stamps.
 */

export type Residency = "resident" | "released" | "host" | "disk" | "shared";
export type Contents = "defined" | "undefined";
/** `clean`: unchanged since its last backup, nothing is copied; an error (`not_clean`) when it did change. */
export type ReleaseMode = "discard" | "host" | "disk" | "clean";
/** Released chunks stay in this process's pool (`hold`) or go back to the device (`return`). */
export type ReleaseDestination = "hold" | "return";
export type DType = "float32" | "float16" | "bfloat16";
/**
 * What a model's weights are stored as. `int8` is for models that only score (reference, reward): quantised on load, every
 * matrix symmetrically per output channel with float32 scales, embedding and lm_head too; norms, biases and the value head
 * stay float32, being under a hundredth of the bytes. Scales are tensors of their own, `<name>_scale`.
 */
export type WeightDType = DType | "int8";

export interface Receipt {
  readonly action: "release" | "resume" | "load" | "swap" | "prepare";
  readonly consumer: string;
  /** How it was done: a ReleaseMode for release (`clean` when nothing needed copying), `zero` | `host` | `disk` for resume, `share` | `copy` | `bucketed` | `ipc` | `disk` for swap, `disk`, `copy` or `master` (a trainer's float32 copy) for load. A copy to another GPU is `peer` (directly) or `staged` (through host memory). */
  readonly method: string;
  /** Given back to the device: other processes can have them. */
  readonly bytesFreed: number;
  /** Still held by this process on the device after the action, for this consumer: pool chunks it left behind. */
  readonly bytesRetained: number;
  /** Newly mapped, if only for the action's length: a bucketed swap counts its bucket here and in `bytesFreed`. */
  readonly bytesCommitted: number;
  readonly bytesCopied: number;
  /** Of `prepare`: host memory taken for a backup to come; 0 where it was there. */
  readonly bytesPrepared?: number;
  readonly milliseconds: number;
}

export interface LongOperation {
  /** Called at most ~20 times a second while bytes move. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly cancellation?: NativeCancellation;
}

export interface NativeCancellation {
  cancel(): void;
}

export interface ReleaseOptions extends LongOperation {
  readonly mode: ReleaseMode;
  readonly destination?: ReleaseDestination; // "return"
  /** Folder for `disk` backups. */
  readonly directory?: string;
}

export interface RegionObservation {
  readonly consumer: string;
  readonly tag: string;
  readonly residency: Residency;
  readonly contents: Contents;
  readonly reservedBytes: number;
  readonly committedBytes: number;
  readonly usedBytes: number;
  /** First address, as text: it never changes across release and resume. */
  readonly address: string;
  readonly backup?: {
    readonly where: "host" | "disk";
    readonly bytes: number;
    readonly clean: boolean;
    readonly file?: string;
  };
  /** For `shared`: the consumer whose bytes these are. */
  readonly sharedWith?: string;
}

/** How a region is lent to other processes (docs/share-weights.md). */
export interface ShareOptions {
  /** A Unix socket to make, in a folder of this user: only this user's processes can connect. */
  readonly path: string;
}

/** What a borrower is told, as JSON, before it gets one file descriptor per chunk. */
export interface SharedRegion {
  readonly consumer: string;
  readonly tag: string;
  readonly bytes: number;
  /** In order of address: so many chunks of so many bytes, then so many of the next size. */
  readonly chunks: readonly { readonly bytes: number; readonly count: number }[];
  /** `uuid` finds the same device in every process, whatever its number there. */
  readonly device: { readonly name: string; readonly uuid: string };
  /** Of a model: where each tensor lies. */
  readonly tensors?: readonly TensorView[];
}

/**
 * Lends a region until close(), or until this object is garbage: keep it. While a process has it mapped, releasing and
 * closing are refused with `shared`; what it writes counts as a change of the contents.
 */
export interface NativeSharing {
  /** `borrowers`: how many processes have it mapped. */
  observe(): { readonly path: string; readonly borrowers: number };
  /** Ends all loans. The memory of those who do not unmap then is only free once they do. */
  close(): Promise<void>;
}

export interface NativeRegion {
  observe(): RegionObservation;
  /** `discard` on a region in `host` or `disk` gives up its backup: the way out when that is lost. */
  release(options: ReleaseOptions): Promise<Receipt>;
  resume(operation?: LongOperation): Promise<Receipt>;
  /**
   * Takes (and on a GPU pins) host memory for a backup now, in any state, so that the first release to `host` only copies.
   * Beside everything else: the region may be used, released and resumed meanwhile. The memory is kept as that of a backup
   * is. Errors: out_of_memory, device_lost, `cancelled`, also when the region is closed meanwhile; nothing is kept then.
   */
  prepareBackup(operation?: LongOperation): Promise<Receipt>;
  /** Copies bytes in and marks the contents written (a backup is no longer clean). Region must be resident. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Refused with `contents_undefined` until the region was written. */
  read(offset: number, bytes: number): Promise<Uint8Array>;
  /** One copy on the device of all bytes of another region of this device, of the same size; both must be resident. */
  copyFrom(source: NativeRegion): Promise<Receipt>;
  /**
   * Maps it into other processes with no copy. Borrowers are refused while it is not resident or its contents are undefined.
   * Errors: bad_argument, and `unsupported` on the host device.
   */
  share(options: ShareOptions): NativeSharing;
  /** Fills the whole region with a pattern of `seed`: makes its contents defined. */
  fill(seed: number): Promise<void>;
  /** CRC-32C of the committed bytes, as 8 hex digits. */
  checksum(): Promise<string>;
  /** Frees the address range, the chunks and the backups. */
  close(): Promise<void>;
}

export interface DeviceProbe {
  /** "host" or "cuda:0". */
  readonly name: string;
  readonly description: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Why it cannot be used, e.g. the driver is missing. */
  readonly problem?: string;
  readonly driverVersion?: string;
}

export interface DeviceObservation {
  readonly name: string;
  readonly description: string;
  /** What the driver said when the device was lost: work on it is refused with `device_lost`, closing still works. */
  readonly lost?: string;
  /** What regions may commit. */
  readonly capacityBytes: number;
  /** A region's size is a multiple of it. A GPU's regions are made of larger chunks where they can, up to 1 GiB. */
  readonly chunkBytes: number;
  /** Mapped by regions. */
  readonly committedBytes: number;
  /** In the pool, mapped by nobody. */
  readonly heldBytes: number;
  /** capacity - committed - held. */
  readonly freeBytes: number;
  /** What was there before the first region: the process's own resident set (host), the CUDA context (cuda). */
  readonly contextBytes: number;
  /** What the system says is used: resident set less host backups (host), total - free of cuMemGetInfo (cuda). */
  readonly usedBytes: number;
  /** host: contextBytes + capacityBytes; cuda: cuMemGetInfo's total. */
  readonly totalBytes: number;
  readonly hostBackupBytes: number;
  readonly regions: readonly RegionObservation[];
}

/** Of a device; as in its observation. */
export type DeviceUsage = Pick<DeviceObservation, "committedBytes" | "heldBytes">;

/** As an `out_of_memory` error names them; `pool` is what no region has mapped. */
export interface Holder {
  readonly consumer: string;
  readonly bytes: number;
}

/**
 * Samples of one batch, row after row. A row is
 * [timeSeconds (Unix), usedBytes, totalBytes, contextBytes, hostBackupBytes, heldBytes,
 *  then per consumer: reservedBytes, committedBytes, usedBytes].
 */
export interface SampleBatch {
  readonly consumers: readonly string[];
  readonly rows: number;
  readonly samples: Float64Array;
  /** Samples lost since the previous batch: to a full ring, or because the sampling thread got no processor in time. */
  readonly dropped: number;
}
export const SAMPLE_HEADER_COLUMNS: 6;
export const SAMPLE_CONSUMER_COLUMNS: 3;

/** Runs until stop(), or until this object is garbage: keep it. It does not keep the process alive. */
export interface NativeTelemetry {
  /** 10 to 1000 Hz. */
  setRate(hertz: number): void;
  stop(): void;
}

export interface NativeDevice {
  observe(): DeviceObservation;
  /** What is taken of the capacity: costs next to nothing, for somebody who asks after every action. */
  usage(): DeviceUsage;
  /** Who has taken it; the same bytes in all. */
  holders(): readonly Holder[];
  /** `prepareBackup` of all regions of a consumer, those of models, engines and trainers too. Error `not_found` without any. */
  prepareBackups(consumer: string, operation?: LongOperation): Promise<Receipt>;
  createRegion(options: { readonly consumer: string; readonly tag: string; readonly bytes: number }): NativeRegion;
  /** Changes what regions may commit; refused below what is committed now. */
  setCapacity(bytes: number): void;
  /** Gives held chunks back to the device; returns the bytes. */
  trim(): Promise<number>;
  startTelemetry(
    options: { readonly hertz: number; readonly batchSeconds: number },
    onBatch: (batch: SampleBatch) => void,
  ): NativeTelemetry;
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Engine

/** What a config.json says, after core/checkpoint has read it. Shapes follow Hugging Face's names. */
export interface ModelConfig {
  readonly family: "llama" | "qwen2" | "qwen3";
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly maxPositions: number;
  readonly rmsNormEps: number;
  readonly tiedEmbeddings: boolean;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  readonly qkNorm: boolean;
  readonly rope:
    | { readonly type: "default"; readonly theta: number; readonly frequencyDtype?: DType }
    | { readonly type: "linear"; readonly theta: number; readonly factor: number; readonly frequencyDtype?: DType }
    | {
        readonly type: "llama3";
        readonly theta: number;
        readonly factor: number;
        readonly lowFreqFactor: number;
        readonly highFreqFactor: number;
        readonly originalMaxPositions: number;
        /** Frequencies are rounded to this; as exact as can be when left out. Only a model cast as a whole rounds them. */
        readonly frequencyDtype?: DType;
      };
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId?: number;
}

/** What reads the last layer: next-token logits, or `value_head.weight` [1, hidden] (critics and reward models; no lm_head). */
export type ModelHead = "lm" | "value";

/** One tensor of a checkpoint on disk. The addon checks every number again against the file it maps. */
export interface TensorSource {
  readonly name: string;
  /** Safetensors spelling: F32, F16, BF16, I64, … Anything the engine cannot cast is an error that names the tensor. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly file: string;
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface TensorView {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where the Hugging Face tensor lies in the region: fused layouts make it a contiguous slice. */
  readonly offset: number;
  readonly bytes: number;
}

/** Weights of one model in the fused layout, in a region of their own. Created released; `load` resumes and fills it. */
export interface NativeModel {
  observe(): RegionObservation;
  /** The Hugging Face tensors as views of the region, in checkpoint order. */
  tensors(): readonly TensorView[];
  readTensor(name: string): Promise<Uint8Array>;
  /** Reads all tensors from disk; validates names, shapes, dtypes first: an error changes nothing. */
  load(tensors: readonly TensorSource[], operation?: LongOperation): Promise<Receipt>;
  /**
   * One copy of all weights of another model, on this device or another, or of those that an engine uses (it may be running),
   * cast or quantised where dtypes differ. Resumes this model if needed and defines its contents. Errors: those of `load`, and
   * weights_mismatch (`tensor` or `field`; int8 cannot be cast back), not_resident and contents_undefined of the source,
   * bad_argument when both are the same bytes, `shared` when an engine reads this model.
   */
  copyFrom(source: NativeModel | NativeEngine, operation?: LongOperation): Promise<Receipt>;
  /** As NativeRegion's, with the model's tensors. */
  share(options: ShareOptions): NativeSharing;
  release(options: ReleaseOptions): Promise<Receipt>;
  resume(operation?: LongOperation): Promise<Receipt>;
  /** Writes one safetensors data section (tensors in order, back to back) after `header` bytes; TypeScript makes the header. */
  save(file: string, header: Uint8Array, names: readonly string[], operation?: LongOperation): Promise<void>;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly kvCacheBytes: number;
  /** Tokens per block of the paged cache: 16. */
  readonly blockTokens?: number;
  /** Most sequences decoded together: 64. */
  readonly maxBatch?: number;
  /** Most prompt tokens processed in one step (chunked prefill): 512. */
  readonly prefillTokens?: number;
  /** float32 on the host. */
  readonly kvDtype?: DType;
  /** All cores. */
  readonly threads?: number;
}

export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0 is off. */
  readonly topK: number;
  /** 1 is off. */
  readonly topP: number;
  /** Same seed, prompt and weights: same tokens, whatever else is in the batch. */
  readonly seed: number;
}

export interface GenerateRequest {
  readonly promptIds: readonly number[];
  readonly maxNewTokens: number;
  readonly sampling: Sampling;
  readonly stopTokenIds: readonly number[];
}

export type FinishReason = "length" | "stop" | "cancelled" | "aborted" | "failed";

/** What the engine reports, in order, batched; `index` is the request's place in the call. */
export type GenerationEvent =
  | {
      readonly type: "token";
      readonly index: number;
      readonly tokenId: number;
      readonly logprob: number;
      readonly timeSeconds: number;
    }
  | {
      readonly type: "finished";
      readonly index: number;
      readonly reason: FinishReason;
      readonly promptTokens: number;
      readonly newTokens: number;
      readonly prefillSeconds: number;
      readonly decodeSeconds: number;
    }
  | {
      readonly type: "error";
      readonly index: number;
      readonly error: { readonly code: string; readonly message: string };
    };

/** SGLang's pause modes: abort running requests, retract them (KV dropped, recomputed on continue), or leave them in place. */
export type PauseMode = "abort" | "retract" | "in_place";

export interface EngineObservation {
  readonly status: "idle" | "running" | "paused" | "swapping" | "closed";
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** Counts up with every load and swap, and with every update of weights that it shares. */
  readonly weightsVersion: number;
  readonly kv: {
    readonly blockTokens: number;
    readonly blocks: number;
    readonly usedBlocks: number;
    readonly bytesPerToken: number;
  };
  readonly generatedTokens: number;
}

/** Where a trainer in another process has its weights, on a GPU that both see (docs/share-weights.md). */
export interface ForeignWeights {
  readonly device: { readonly uuid: string };
  /** Handles of cuIpcGetMemHandle, as 128 hex digits each. */
  readonly allocations: readonly string[];
  /** `offset` is from the first byte of the allocation at index `allocation`. Those that the engine does not have are ignored. */
  readonly tensors: readonly (TensorView & { readonly allocation: number })[];
}

export type SwapSource =
  | { readonly kind: "model"; readonly model: NativeModel }
  /**
   * One copy on the device; receipt method `ipc`. The other process keeps the weights as they are until the swap is done.
   * Errors: weights_mismatch, not_resident (freed, or its process has ended), unsupported (another device), bad_argument.
   */
  | { readonly kind: "process"; readonly weights: ForeignWeights }
  | { readonly kind: "checkpoint"; readonly config: ModelConfig; readonly tensors: readonly TensorSource[] };

export interface SwapOptions extends LongOperation {
  readonly source: SwapSource;
  /**
   * `share`: the engine reads the other model's bytes (zero-copy) and its own region is released; refused with `unsupported` for
   * a model on another device. `copy`: one device copy, or one to the engine's device;
   * `auto`: share where it can. `bucketed`: as a broadcast does it, through a buffer of `bucketBytes` that is a region of consumer `workspace` (tag
   * `bucket`) for the length of the swap; its receipt counts the bytes into the bucket and out of it. Models only.
   */
  readonly method: "auto" | "share" | "copy" | "bucketed";
  /** At least 4 KiB, and never more than the weights: 512 MiB. */
  readonly bucketBytes?: number;
  /**
   * While requests run: refuse (`busy`), let them finish on the weights they began with, or cancel them first. What was
   * asked for before the swap counts as running; what comes later waits for the new weights. Requests paused in place
   * can only be cancelled; requests retracted by a pause go on with the new weights.
   */
  readonly running: "refuse" | "finish" | "cancel";
}

export interface NativeEngine {
  observe(): EngineObservation;
  /** Validates and queues; returns at once with the generation's number. Events of all its requests arrive at `onEvents`. */
  generate(requests: readonly GenerateRequest[], onEvents: (events: readonly GenerationEvent[]) => void): number;
  /** Cancels a generation; unknown numbers are `not_found`. */
  cancel(generation: number): void;
  /** Resolves once the engine has stopped stepping. */
  pause(mode: PauseMode): Promise<void>;
  continue(): Promise<void>;
  /** Log-probs of each token given the ones before, and the logits after the last. Uses the KV cache for the length of the call. */
  score(promptIds: readonly number[]): Promise<{ readonly lastLogits: Float32Array; readonly logprobs: Float32Array }>;
  release(tag: "weights" | "kv_cache" | "workspace", options: ReleaseOptions): Promise<Receipt>;
  resume(tag: "weights" | "kv_cache" | "workspace", operation?: LongOperation): Promise<Receipt>;
  swap(options: SwapOptions): Promise<Receipt>;
  /** The Hugging Face tensors of the weights in use, and their bytes (for writing a checkpoint back). */
  tensors(): readonly TensorView[];
  readTensor(name: string): Promise<Uint8Array>;
  save(file: string, header: Uint8Array, names: readonly string[], operation?: LongOperation): Promise<void>;
  /** NativeModel's `share` of the weights in use; what a later swap puts in their place is not shared. */
  shareWeights(options: ShareOptions): NativeSharing;
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Training

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
 * drops what was accumulated; weights and optimizer change only in `optimizerStep`, which cannot fail halfway:
 * `not_finite` (with `tensor`) leaves them as they were.
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

export interface TidelineAddon {
  readonly version: string;
  readonly cpu: { readonly threads: number; readonly isa: "baseline" | "avx2" | "avx512" };
  /** Whether this build found nvcc, so that it can compute on GPUs. */
  readonly cudaKernels: boolean;
  readonly SAMPLE_HEADER_COLUMNS: 6;
  readonly SAMPLE_CONSUMER_COLUMNS: 3;
  /** The host device always, then one probe per CUDA device, or one with a `problem`. Never throws. */
  probeDevices(): readonly DeviceProbe[];
  /** The cuBLAS that GPUs multiply with, loaded when this is first asked; or why the one that is there cannot be. */
  findCublas(): { readonly path?: string; readonly version?: string; readonly problem?: string };
  openDevice(options: {
    readonly name: string;
    readonly capacityBytes: number;
    /** All chunks then have this size. Left out, a GPU's are as large as fits a region, the host's 2 MiB or more. */
    readonly chunkBytes?: number;
  }): NativeDevice;
  createCancellation(): NativeCancellation;
  /** Bytes of the fused layout for this config, dtype and head (`lm`): what `createModel` will reserve. */
  weightBytes(config: ModelConfig, dtype: WeightDType, head?: ModelHead): number;
  createModel(
    device: NativeDevice,
    options: {
      readonly config: ModelConfig;
      readonly dtype: WeightDType;
      readonly consumer: string;
      /** `lm` when left out. */
      readonly head?: ModelHead;
    },
  ): NativeModel;
  /** Takes ownership of `model` (consumer `engine.weights`) and makes the `engine.kv_cache` and `workspace` regions (released until resumed). */
  createEngine(device: NativeDevice, model: NativeModel, options: EngineOptions): NativeEngine;
  /** What `createTrainer` will reserve for a model of this config, dtype and head (`lm`), on this device (the host). */
  trainingBytes(
    config: ModelConfig,
    options: TrainerLimits & { readonly dtype: WeightDType; readonly head?: ModelHead; readonly device?: NativeDevice },
  ): TrainingBytes;
  /** Sized for the largest of the trainers that will share it: the most of each that `trainingBytes` says. */
  createScratch(device: NativeDevice, bytes: Pick<TrainingBytes, "activationsBytes" | "logitsBytes">): NativeScratch;
  /**
   * The model stays its owner's; what it computes (log-probs or values) follows its head. With `scratch` its activations
   * and logits are those; closing the trainer leaves them. Error bad_argument when they are too small; int8 models need
   * `trainable: false` (unsupported).
   */
  createTrainer(
    device: NativeDevice,
    options: TrainerLimits & {
      readonly model: NativeModel;
      readonly consumerPrefix: string;
      readonly scratch?: NativeScratch;
    },
  ): NativeTrainer;
  /** Token rewards, generalized advantage estimation and whitening. Error `not_finite` names the input. */
  ppoAdvantages(inputs: PpoInputs): PpoAdvantages;
}
