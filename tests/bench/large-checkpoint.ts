/** A checkpoint that does not fit any cache, so that generating is bound by memory: a model of 270 M parameters. */
import type { ModelConfig } from "../../core/checkpoint/model-config.ts";
import { writeShapeCheckpoint } from "../../electron/synthetic/shape-checkpoint.ts";

const CONFIG: ModelConfig = {
  family: "llama",
  vocabSize: 32_000,
  hiddenSize: 1024,
  intermediateSize: 2816,
  layers: 16,
  heads: 16,
  kvHeads: 8,
  headDim: 64,
  maxPositions: 2048,
  rmsNormEps: 1e-5,
  tiedEmbeddings: false,
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  rope: { type: "default", theta: 10_000 },
  eosTokenIds: [],
};
const BYTES_PER_WEIGHT = 2;

/** Writes the checkpoint into `folder`; resolves to the bytes of weights that every token reads. */
export async function writeLargeCheckpoint(folder: string): Promise<number> {
  const bytes = await writeShapeCheckpoint({ folder, config: CONFIG, dtype: "bfloat16", seed: 1 });
  // One row of the embedding is read per token; the head, which is not tied to it, is read whole.
  return bytes - CONFIG.vocabSize * CONFIG.hiddenSize * BYTES_PER_WEIGHT;
}
