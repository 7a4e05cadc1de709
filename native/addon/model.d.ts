/** Models: what a checkpoint holds, and its weights on a device. */
import type {
  LongOperation,
  NativeSharing,
  Receipt,
  RegionObservation,
  ReleaseOptions,
  ShareOptions,
} from "./memory.d.ts";
import type { DType, TensorSource, TensorView } from "./tensors.d.ts";

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

/** Weights on a device: those of a model, or those that an engine uses at the time. */
export interface NativeWeights {
  /** The Hugging Face tensors as views of the region, in checkpoint order. */
  tensors(): readonly TensorView[];
  readTensor(name: string): Promise<Uint8Array>;
  /** Writes one safetensors data section (tensors in order, back to back) after `header` bytes; TypeScript makes the header. */
  save(file: string, header: Uint8Array, names: readonly string[], operation?: LongOperation): Promise<void>;
}

/** Weights of one model in the fused layout, in a region of their own. Created released; `load` resumes and fills it. */
export interface NativeModel extends NativeWeights {
  observe(): RegionObservation;
  /** Reads all tensors from disk; validates names, shapes, dtypes first: an error changes nothing. */
  load(tensors: readonly TensorSource[], operation?: LongOperation): Promise<Receipt>;
  /**
   * One copy of all weights of another model, on this device or another, or of those that an engine uses (it may be running),
   * cast or quantised where dtypes differ. Resumes this model if needed and defines its contents. Errors: those of `load`, and
   * weights_mismatch (`tensor` or `field`; int8 cannot be cast back), not_resident and contents_undefined of the source,
   * bad_argument when both are the same bytes, `shared` when an engine reads this model.
   */
  copyFrom(source: NativeWeights, operation?: LongOperation): Promise<Receipt>;
  /** As NativeRegion's, with the model's tensors. */
  share(options: ShareOptions): NativeSharing;
  release(options: ReleaseOptions): Promise<Receipt>;
  resume(operation?: LongOperation): Promise<Receipt>;
  close(): Promise<void>;
}
