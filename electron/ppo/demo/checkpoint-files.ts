/** The files of the demo's checkpoints before anything is learned: shape and random weights, beside a tokenizer of bytes. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { formatConfig } from "../../../core/checkpoint/format-config.ts";
import { expectedTensors, type ModelConfig } from "../../../core/checkpoint/model-config.ts";
import {
  BYTE_VOCABULARY,
  END_TOKEN_ID,
  PAD_TOKEN_ID,
  START_TOKEN_ID,
  writeByteTokenizer,
  writeJson,
} from "../../synthetic/byte-tokenizer.ts";
import { normalNumber, type Random } from "../random.ts";
import { type FloatTensor, writeFloats } from "../value-head.ts";

/** A small Llama over bytes: 440 KB in float32. */
export const DEMO_CONFIG: ModelConfig = {
  family: "llama",
  vocabSize: BYTE_VOCABULARY,
  hiddenSize: 64,
  intermediateSize: 176,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  maxPositions: 64,
  rmsNormEps: 1e-5,
  tiedEmbeddings: true,
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  rope: { type: "default", theta: 10000 },
  eosTokenIds: [END_TOKEN_ID],
  bosTokenId: START_TOKEN_ID,
};

/** Writes a folder with random weights that transformers opens too. */
export async function writeRandomCheckpoint(folder: string, random: Random): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors = expectedTensors(DEMO_CONFIG).map(({ name, shape }): FloatTensor => {
    const isNorm = name.endsWith("norm.weight");
    const length = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length }, () => (isNorm ? 1 : 0.06 * normalNumber(random)));
    return { name, shape, values };
  });
  await writeFloats(join(folder, "model.safetensors"), tensors);
  await writeJson(join(folder, "config.json"), {
    ...formatConfig(DEMO_CONFIG),
    pad_token_id: PAD_TOKEN_ID,
    dtype: "float32",
  });
  await writeByteTokenizer(folder);
}
