/**
 * How many bytes the embedded engine's regions reserve, before rounding up to chunks: the same sums as
 * native/engine/weights_layout.cc, kv_cache.cc, workspace.cc and native/training/training_memory.cc.
 * tests/native/planner holds them against the addon, byte for byte.
 */
import type { Precision, StatePrecision } from "../../../schedule/schedule.ts";
import type { Head } from "../../models/architecture.ts";
import { gpuScratchBytes } from "./gpu-scratch.ts";
import type { EmbeddedShape } from "./shape.ts";

export type StoredPrecision = Precision | "int8";

const FLOAT_BYTES = 4;
const ITEM_BYTES: Readonly<Record<StoredPrecision, number>> = { fp32: 4, bf16: 2, fp16: 2, int8: 1 };

const aligned = (bytes: number, to: number) => Math.ceil(bytes / to) * to;

// ---------------------------------------------------------------------------------------------------------------------
// Weights

const TENSOR_ALIGN_BYTES = 256;

/** Weights as they lie in a region; int8 matrices with a float32 scale for each row, and what is no matrix in float32. */
export function weightsBytes(shape: EmbeddedShape, precision: StoredPrecision, head: Head): number {
  const { hiddenSize: hidden, qSize: q, kvSize: kv, intermediateSize: intermediate } = shape;
  const itemBytes = ITEM_BYTES[precision];
  const vectorItemBytes = precision === "int8" ? FLOAT_BYTES : itemBytes;
  let total = 0;
  const place = (bytes: number) => {
    total = aligned(total, TENSOR_ALIGN_BYTES) + bytes;
  };
  const vector = (length: number) => place(length * vectorItemBytes);
  const matrix = (rows: number, columns: number) => {
    place(rows * columns * itemBytes);
    if (precision === "int8") place(rows * FLOAT_BYTES);
  };

  matrix(shape.vocabSize, hidden);
  for (let layer = 0; layer < shape.layers; layer++) {
    vector(hidden);
    matrix(q + 2 * kv, hidden);
    if (shape.qkvBias) vector(q + 2 * kv);
    if (shape.qkNorm) {
      vector(shape.headDim);
      vector(shape.headDim);
    }
    matrix(hidden, q);
    if (shape.outputBias) vector(hidden);
    vector(hidden);
    matrix(2 * intermediate, hidden);
    if (shape.mlpBias) vector(2 * intermediate);
    matrix(hidden, intermediate);
    if (shape.mlpBias) vector(hidden);
  }
  vector(hidden);
  if (head === "value") vector(hidden);
  else if (!shape.tiedEmbeddings) matrix(shape.vocabSize, hidden);
  return total;
}

// ---------------------------------------------------------------------------------------------------------------------
// Training

export interface TrainingLimits {
  readonly microBatch: number;
  readonly sequenceTokens: number;
  /** Rows of logits held at once. */
  readonly logitRows: number;
  readonly checkpointing: boolean;
  /** Otherwise it scores only, and keeps nothing for a backward pass. */
  readonly trainable: boolean;
  readonly masterWeights: boolean;
  readonly gradients: StatePrecision;
  readonly moments: StatePrecision;
  readonly computer: Computer;
}

/** What computes: so many threads of the host, or a GPU with a workspace of cuBLAS. */
export type Computer =
  | { readonly kind: "host"; readonly threads: number }
  | { readonly kind: "gpu"; readonly cublasBytes: number };

export interface TrainingBytes {
  readonly gradients: number;
  readonly optimizer: number;
  readonly activations: number;
  readonly logits: number;
}

const FLOATS_ALIGN_BYTES = 64;
const QUERY_TILE_ROWS = 96;
const PRODUCT_SCRATCH_FLOATS = 96 * 128 + 128 * 64;

export function trainingBytes(
  shape: EmbeddedShape,
  precision: StoredPrecision,
  head: Head,
  limits: TrainingLimits,
): TrainingBytes {
  return {
    gradients: limits.trainable ? weightsBytes(shape, limits.gradients, head) : 0,
    optimizer: limits.trainable ? optimizerBytes(shape, precision, head, limits) : 0,
    activations: activationsBytes(shape, precision, head, limits),
    logits: logitsBytes(shape, head, limits),
  };
}

/** Running means of gradients and of their squares, then the master weights: all in places of a float32 model. */
function optimizerBytes(
  shape: EmbeddedShape,
  precision: StoredPrecision,
  head: Head,
  { moments, masterWeights }: TrainingLimits,
): number {
  const elements = weightsBytes(shape, "fp32", head) / FLOAT_BYTES;
  const masterBytes = masterWeights && precision !== "fp32" ? FLOAT_BYTES : 0;
  return elements * (2 * ITEM_BYTES[moments] + masterBytes);
}

function floats(count: number): number {
  return aligned(count * FLOAT_BYTES, FLOATS_ALIGN_BYTES);
}

function activationsBytes(
  shape: EmbeddedShape,
  precision: StoredPrecision,
  head: Head,
  limits: TrainingLimits,
): number {
  const { hiddenSize: hidden, intermediateSize: intermediate, qSize: q, kvSize: kv, headDim } = shape;
  const { trainable, checkpointing, sequenceTokens } = limits;
  const rows = limits.microBatch * sequenceTokens;
  const layer =
    (shape.qkNorm ? floats(rows * (q + kv)) : 0) +
    floats(rows * (q + 2 * kv)) +
    floats(rows * shape.heads) +
    floats(rows * q) +
    floats(rows * hidden) +
    floats(rows * 2 * intermediate);
  const layers = trainable && !checkpointing ? shape.layers * layer : layer;
  const inputs = trainable ? shape.layers * floats(rows * hidden) : 0;
  const running = 2 * floats(rows * hidden) + 2 * floats((rows * headDim) / 2);
  const attentionStage = floats(rows * q) + floats(rows * (q + 2 * kv));
  const feedStage = floats(rows * intermediate);
  const stage = trainable ? Math.max(feedStage, attentionStage) + floats(rows * hidden) + floats(rows) : feedStage;
  return inputs + layers + running + stage + trainingScratchBytes(shape, precision, head, limits);
}

function trainingScratchBytes(
  shape: EmbeddedShape,
  precision: StoredPrecision,
  head: Head,
  { computer, microBatch, sequenceTokens, logitRows }: TrainingLimits,
): number {
  if (computer.kind === "host") {
    return floats(computer.threads * (2 * QUERY_TILE_ROWS * sequenceTokens + PRODUCT_SCRATCH_FLOATS));
  }
  const { hiddenSize: hidden, intermediateSize: intermediate, qSize: q, kvSize: kv } = shape;
  const rows = microBatch * sequenceTokens;
  const qkv = q + 2 * kv;
  const logits = head === "language" ? shape.vocabSize : 1;
  const widestPair = Math.max(2 * hidden, 2 * q, qkv + hidden, q + hidden, 2 * intermediate + hidden, 2 * intermediate);
  const scratchBytes = gpuScratchBytes(
    {
      rows: Math.max(rows, logitRows),
      contextTokens: 0,
      sequences: 0,
      blockTokens: 0,
      widestInput: Math.max(hidden, 2 * intermediate, qkv, logits),
      productElements: Math.max(rows * widestPair, logitRows * (logits + hidden)),
      weights: precision === "fp32" ? "fp32" : "other",
    },
    computer.cublasBytes,
  );
  return floats(Math.floor(scratchBytes / FLOAT_BYTES));
}

function logitsBytes(shape: EmbeddedShape, head: Head, { logitRows: rows, trainable }: TrainingLimits): number {
  const { hiddenSize: hidden, vocabSize } = shape;
  const backward = trainable ? floats(rows * hidden) + floats(rows) : 0;
  return 2 * floats(rows * hidden) + backward + floats(head === "value" ? hidden : rows * vocabSize);
}

// ---------------------------------------------------------------------------------------------------------------------
// Engine

const BLOCK_TOKENS = 16;
const MOST_SEQUENCES = 64;
const PREFILL_TOKENS = 512;
const MATMUL_SCRATCH_FLOATS = 4 * 1024;

/** Keys and values in float32, in whole blocks. */
export function kvCacheBytes(shape: EmbeddedShape, bytes: number): number {
  const blockBytes = kvBlockBytes(shape);
  return Math.floor(bytes / blockBytes) * blockBytes;
}

function kvBlockBytes({ layers, kvSize }: EmbeddedShape): number {
  return layers * 2 * kvSize * BLOCK_TOKENS * FLOAT_BYTES;
}

/** What a KV cache of so many sequences needs. */
export function kvCacheFor(shape: EmbeddedShape, sequences: number, tokens: number): number {
  return Math.min(sequences, MOST_SEQUENCES) * Math.ceil(tokens / BLOCK_TOKENS) * kvBlockBytes(shape);
}

/** @param precision Of the engine's weights. */
export function workspaceBytes(
  shape: EmbeddedShape,
  precision: StoredPrecision,
  kvBytes: number,
  computer: Computer,
): number {
  const { hiddenSize: hidden, intermediateSize: intermediate, qSize: q, kvSize: kv, headDim, vocabSize } = shape;
  const tokens = PREFILL_TOKENS + MOST_SEQUENCES;
  const blocks = Math.min(Math.floor(kvBytes / kvBlockBytes(shape)), Math.ceil(shape.maxPositions / BLOCK_TOKENS));
  const counts = [
    ...[tokens * hidden, tokens * hidden, tokens * (q + 2 * kv), tokens * q],
    ...[tokens * 2 * intermediate, tokens * intermediate, (tokens * headDim) / 2, (tokens * headDim) / 2],
    ...[MOST_SEQUENCES * hidden, MOST_SEQUENCES * vocabSize],
    // A GPU's probabilities come to the host to be sampled from.
    ...(computer.kind === "gpu"
      ? []
      : [vocabSize, computer.threads * blocks * BLOCK_TOKENS, computer.threads * MATMUL_SCRATCH_FLOATS]),
  ];
  const limits = {
    rows: tokens,
    contextTokens: blocks * BLOCK_TOKENS,
    sequences: MOST_SEQUENCES,
    blockTokens: BLOCK_TOKENS,
    widestInput: Math.max(hidden, q, intermediate),
    productElements: 0,
    weights: precision === "fp32" ? "fp32" : "other",
  } as const;
  if (computer.kind === "gpu") counts.push(Math.floor(gpuScratchBytes(limits, computer.cublasBytes) / FLOAT_BYTES));
  return counts.reduce((sum, count) => sum + floats(count), 0);
}
