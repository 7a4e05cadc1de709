/**
 * A checkpoint of a real model's shape with made-up weights: memory and speed do not depend on what weights are, only on
 * there being as many, and on their being ordinary numbers. Written in one pass, so a model larger than the machine's
 * memory can be made too.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { elementCount, expectedTensors, type ModelConfig } from "../../core/checkpoint/model-config.ts";
import { makeHeader } from "../../core/checkpoint/safetensors.ts";
import { TidelineError } from "../../core/errors.ts";
import type { LongOperation } from "../../native/addon.d.ts";
import { randomOf } from "../ppo/random.ts";
import { VALUE_HEAD } from "../ppo/value-head.ts";
import { makeFolder, requireNewFolder } from "../session/new-folder.ts";
import { BYTE_VOCABULARY, END_TOKEN_ID, START_TOKEN_ID } from "./byte-tokenizer.ts";
import { writeCompanions } from "./companions.ts";

/** As transformers and as safetensors spell them. */
const DTYPES = {
  bfloat16: { spelling: "BF16", bytes: 2 },
  float32: { spelling: "F32", bytes: 4 },
} as const;
export type ShapeDType = keyof typeof DTYPES;
export const SHAPE_DTYPES = Object.keys(DTYPES);

export interface ShapeCheckpointOptions {
  /** A new folder, or an empty one. */
  readonly folder: string;
  readonly config: ModelConfig;
  readonly dtype: ShapeDType;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: LongOperation["onProgress"];
}

/**
 * Weights come from one block again and again. Its length is prime, so that no two rows of a matrix are the same: equal
 * rows would make every token equally likely.
 */
const BLOCK_ELEMENTS = 1_048_573;
/** As transformers initialises: `initializer_range`. */
const STANDARD_DEVIATION = 0.02;

/**
 * Writes config.json, model.safetensors with a value head in it, and a tokenizer of bytes.
 * @returns the bytes of its weights.
 * @throws TidelineError `bad_argument` with `field` for a vocabulary too small for the tokenizer; what requireNewFolder
 * throws; the signal's reason. No half a checkpoint is left.
 */
export async function writeShapeCheckpoint(options: ShapeCheckpointOptions): Promise<number> {
  const { folder, config, dtype, seed, signal, onProgress } = options;
  if (config.vocabSize < BYTE_VOCABULARY) {
    throw new TidelineError({
      code: "bad_argument",
      field: "vocab_size",
      message: `vocab_size is ${config.vocabSize}, and a tokenizer of bytes needs ${BYTE_VOCABULARY}`,
    });
  }
  await requireNewFolder(folder);
  makeFolder(folder);
  // A value head beside the language model's, so that one folder serves every role; who does not need it leaves it.
  const tensors = [...expectedTensors(config), { name: VALUE_HEAD, shape: [1, config.hiddenSize] }];
  const { spelling, bytes: bytesEach } = DTYPES[dtype];
  const header = makeHeader(tensors.map(({ name, shape }) => ({ name, shape, dtype: spelling })));
  const weightBytes = bytesEach * tensors.reduce((sum, tensor) => sum + elementCount(tensor), 0);
  const path = join(folder, "model.safetensors");
  const file = await open(path, "wx");
  try {
    await file.write(header);
    const pattern = encoded(randomBlock(seed), dtype);
    let doneBytes = 0;
    for (const tensor of tensors) {
      const elements = elementCount(tensor);
      const isNorm = tensor.name.endsWith("norm.weight");
      const source = isNorm ? encoded(new Float32Array(elements).fill(1), dtype) : pattern;
      for await (const bytes of writeRepeated(file, source, bytesEach * elements, doneBytes)) {
        signal?.throwIfAborted();
        doneBytes += bytes;
        onProgress?.(doneBytes, weightBytes);
      }
    }
  } catch (error) {
    await file.close();
    await rm(path);
    throw error;
  }
  await file.close();
  await writeCompanions(folder, withTokens(config), dtype);
  return weightBytes;
}

/** The tokenizer's special tokens are the model's. */
function withTokens(config: ModelConfig): ModelConfig {
  return { ...config, bosTokenId: START_TOKEN_ID, eosTokenIds: [END_TOKEN_ID] };
}

/** Uniform, which nobody can tell from normal once a few are summed. */
function randomBlock(seed: number): Float32Array {
  const random = randomOf(seed);
  const range = 2 * STANDARD_DEVIATION * Math.sqrt(3);
  return Float32Array.from({ length: BLOCK_ELEMENTS }, () => range * (random() - 0.5));
}

/** bfloat16 is the upper half of a float32; cut off, which changes a made-up number into another. */
function encoded(values: Float32Array, dtype: ShapeDType): Uint8Array {
  const bits = new Uint32Array(values.buffer);
  const stored = dtype === "float32" ? bits : Uint16Array.from(bits, (value) => value >>> 16);
  return new Uint8Array(stored.buffer);
}

/** `bytes` of the source from its `offset` on, again and again; yields how many were written. */
async function* writeRepeated(
  file: FileHandle,
  source: Uint8Array,
  bytes: number,
  offset: number,
): AsyncGenerator<number> {
  let at = offset % source.byteLength;
  for (let left = bytes; left > 0; ) {
    const piece = source.subarray(at, Math.min(source.byteLength, at + left));
    await file.write(piece);
    yield piece.byteLength;
    left -= piece.byteLength;
    at = (at + piece.byteLength) % source.byteLength;
  }
}
