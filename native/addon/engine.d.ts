/** The inference engine: generation, pauses, and swaps of its weights. */
import type { LongOperation, NativeSharing, Receipt, ReleaseOptions, ShareOptions } from "./memory.d.ts";
import type { ModelConfig, NativeModel, NativeWeights } from "./model.d.ts";
import type { DType, TensorSource, TensorView } from "./tensors.d.ts";

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
      /** As any call of the addon throws it. */
      readonly error: Error;
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
   * - `share`: the engine reads the other model's bytes (zero-copy) and its own region is released. Refused with `unsupported`
   *   for a model on another device.
   * - `copy`: one copy on the device, or to it.
   * - `auto`: `share` where it can, else `copy`.
   * - `bucketed`, of models only: as a broadcast does it, through a buffer of `bucketBytes` that is a region of consumer
   *   `workspace` (tag `bucket`) for the length of the swap. Its receipt counts the bytes into the bucket and out of it.
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

/** Its weights are those in use, which a swap may put others in the place of. */
export interface NativeEngine extends NativeWeights {
  observe(): EngineObservation;
  /** Validates and queues; returns at once with the generation's number. Events of all its requests arrive at `onEvents`. */
  generate(requests: readonly GenerateRequest[], onEvents: (events: readonly GenerationEvent[]) => void): number;
  /** Cancels a generation; unknown numbers are `not_found`. */
  cancel(generation: number): void;
  /** Resolves once the engine has stopped stepping. */
  pause(mode: PauseMode): Promise<void>;
  continue(): Promise<void>;
  /**
   * Log-probs of each token given the ones before, and the logits after the last. Uses the KV cache for the length of the
   * call.
   */
  score(promptIds: readonly number[]): Promise<{ readonly lastLogits: Float32Array; readonly logprobs: Float32Array }>;
  release(tag: "weights" | "kv_cache" | "workspace", options: ReleaseOptions): Promise<Receipt>;
  resume(tag: "weights" | "kv_cache" | "workspace", operation?: LongOperation): Promise<Receipt>;
  swap(options: SwapOptions): Promise<Receipt>;
  /** NativeModel's `share` of the weights in use; what a later swap puts in their place is not shared. */
  shareWeights(options: ShareOptions): NativeSharing;
  close(): Promise<void>;
}
