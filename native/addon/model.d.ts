/** Models: what a checkpoint holds, and its weights on a device. */

import type { NativeEngine } from "./engine.d.ts";
import type {
  DType,
  LongOperation,
  NativeSharing,
  Receipt,
  RegionObservation,
  ReleaseOptions,
  ShareOptions,
} from "./memory.d.ts";

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
