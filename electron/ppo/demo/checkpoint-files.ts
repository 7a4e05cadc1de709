/** The files of the demo's checkpoints before anything is learned: shape and random weights, beside a tokenizer of bytes. */
import { join } from "node:path";
import { elementCount, expectedTensors, type ModelConfig } from "../../../core/checkpoint/model-config.ts";
import { makeFolder } from "../../session/new-folder.ts";
import { BYTE_VOCABULARY, END_TOKEN_ID, START_TOKEN_ID } from "../../synthetic/byte-tokenizer.ts";
import { writeCompanions } from "../../synthetic/companions.ts";
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
  makeFolder(folder);
  const tensors = expectedTensors(DEMO_CONFIG).map((tensor): FloatTensor => {
    const { name, shape } = tensor;
    const isNorm = name.endsWith("norm.weight");
    const length = elementCount(tensor);
    const values = Float32Array.from({ length }, () => (isNorm ? 1 : 0.06 * normalNumber(random)));
    return { name, shape, values };
  });
  await writeFloats(join(folder, "model.safetensors"), tensors);
  await writeCompanions(folder, DEMO_CONFIG, "float32");
}
