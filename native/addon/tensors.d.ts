/** Tensors: what their numbers are stored as, and where they lie in a file or in a region. */

export type DType = "float32" | "float16" | "bfloat16";
/**
 * What a model's weights are stored as. `int8` is for models that only score (reference, reward): quantised on load, every
 * matrix symmetrically per output channel with float32 scales, embedding and lm_head too; norms, biases and the value head
 * stay float32, being under a hundredth of the bytes. Scales are tensors of their own, `<name>_scale`.
 */
export type WeightDType = DType | "int8";

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
