/** The files of the demo's checkpoints before anything is learned: shape, random weights, and a tokenizer of bytes. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatConfig } from "../../../core/checkpoint/format-config.ts";
import { expectedTensors, type ModelConfig } from "../../../core/checkpoint/model-config.ts";
import { normalNumber, type Random } from "../random.ts";
import { type FloatTensor, writeFloats } from "../value-head.ts";

const SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>"];
const PAD_TOKEN_ID = 0;
const START_TOKEN_ID = 1;
export const END_TOKEN_ID = 2;

/** A small Llama over bytes: 440 KB in float32. */
export const DEMO_CONFIG: ModelConfig = {
  family: "llama",
  vocabSize: SPECIAL_TOKENS.length + 256,
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
  await writeJson(join(folder, "tokenizer.json"), byteTokenizer());
  const [pad_token, bos_token, eos_token] = SPECIAL_TOKENS;
  const settings = { tokenizer_class: "PreTrainedTokenizerFast", pad_token, bos_token, eos_token };
  await writeJson(join(folder, "tokenizer_config.json"), settings);
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFile(file, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** One token per byte, after the special ones, in the format of Hugging Face's tokenizers. */
function byteTokenizer(): object {
  const vocab = Object.fromEntries([...SPECIAL_TOKENS, ...byteCharacters()].map((token, id) => [token, id]));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab, merges: [] },
  };
}

/** The printable character that stands for each byte, as GPT-2's byte-level tokenizer chose them. */
function byteCharacters(): readonly string[] {
  const isPrintable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : 256 + others++));
}
