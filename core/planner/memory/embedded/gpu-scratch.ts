/**
 * What the embedded engine computes in on a GPU, beside what it computes: the same sums as native/compute/cuda/cuda_scratch.cc
 * and device_batch.cc, where cuBLAS is found. tests/native/planner holds them against the addon, byte for byte.
 */
/** native/compute/compute.h, ComputeLimits. */
export interface ComputeLimits {
  readonly rows: number;
  readonly contextTokens: number;
  readonly sequences: number;
  readonly blockTokens: number;
  readonly widestInput: number;
  /** Of the largest product of two matrices, where that is known. */
  readonly productElements: number;
  readonly weights: "fp32" | "other";
}

const ALIGN_BYTES = 256;
const aligned = (bytes: number) => Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;

/** How a token is drawn. */
const DRAW_BYTES = 32;
const PARTIAL_FLOATS = 2 ** 19;
const MOST_HEAD_DIM = 256;
const MOST_NARROWED_ELEMENTS = 64 * 2 ** 20;
const NARROWED_ALIGNMENT = 8;

export function gpuScratchBytes(limits: ComputeLimits, cublasBytes: number): number {
  const { rows, sequences } = limits;
  const argumentBytes = rows * (4 + 16) + MOST_HEAD_DIM * 8 + 2 * ALIGN_BYTES;
  return (
    aligned(batchBytes(limits)) +
    aligned(argumentBytes) +
    aligned(sequences * DRAW_BYTES) +
    aligned(3 * rows * 4) +
    aligned(PARTIAL_FLOATS * 4) +
    aligned(cublasBytes + ALIGN_BYTES) +
    aligned(2 * narrowedElements(limits))
  );
}

function batchBytes({ rows, contextTokens, sequences, blockTokens }: ComputeLimits): number {
  const tables = blockTokens === 0 ? 0 : sequences * Math.ceil(contextTokens / blockTokens) * 4;
  const step = rows * (3 * 4 + 16) + tables;
  const microBatch = rows * (5 * 4 + 2 * 12) + 4;
  return Math.max(step, microBatch) + 8 * 16;
}

function narrowedElements({ rows, widestInput, productElements, weights }: ComputeLimits): number {
  if (weights === "fp32") return 0;
  const row = 2 * widestInput;
  const largest = productElements > 0 ? productElements + NARROWED_ALIGNMENT : rows * row;
  return Math.max(row, Math.min(largest, MOST_NARROWED_ELEMENTS)) + NARROWED_ALIGNMENT;
}
