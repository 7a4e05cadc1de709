/**
 * Checkpoints made for tests: written as Hugging Face folders with seeded random weights, and the golden.json that the
 * float64 reference computes for them.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expectedTensors, type ModelConfig } from "../../core/checkpoint/model-config.ts";
import { makeHeader, type TensorShape } from "../../core/checkpoint/safetensors.ts";
import type { Checkpoint } from "../../electron/session/checkpoint.ts";
import type { DType } from "../../native/addon.d.ts";
import { decodeFloats, encodeFloats } from "./floats.ts";
import { logSoftmax, ReferenceModel, type ReferenceWeights } from "./reference.ts";

const STORED: Readonly<Record<DType, string>> = { float32: "F32", float16: "F16", bfloat16: "BF16" };

/** One tensor with its values, as they are stored. */
export interface ModelTensor extends TensorShape {
  readonly bytes: Uint8Array;
}

/** Normal weights (norms around 1) for every tensor of `config`, rounded to `dtype`; the same for the same seed. */
export function randomTensors(config: ModelConfig, dtype: DType, seed: number): readonly ModelTensor[] {
  const normal = normalNumbers(seed);
  return expectedTensors(config).map(({ name, shape }) => {
    const isNorm = name.endsWith("norm.weight");
    const scale = shape.length === 1 ? 0.1 : 1 / Math.sqrt(shape[1] ?? 1);
    const values = Float64Array.from({ length: elements(shape) }, () => (isNorm ? 1 : 0) + scale * normal());
    return { name, shape, dtype: STORED[dtype], bytes: encodeFloats(values, STORED[dtype]) };
  });
}

/** Writes one safetensors file. */
export async function writeTensors(file: string, tensors: readonly ModelTensor[]): Promise<void> {
  await writeFile(file, Buffer.concat([makeHeader(tensors, { format: "pt" }), ...tensors.map(({ bytes }) => bytes)]));
}

/** Writes tensors as `shards` files with an index. */
export async function writeShards(folder: string, tensors: readonly ModelTensor[], shards: number): Promise<void> {
  const name = (shard: number) => `model-0000${shard + 1}-of-0000${shards}.safetensors`;
  for (let shard = 0; shard < shards; shard++) {
    const own = tensors.filter((_, index) => index % shards === shard);
    await writeTensors(join(folder, name(shard)), own);
  }
  const weight_map = Object.fromEntries(tensors.map((tensor, index) => [tensor.name, name(index % shards)]));
  const index = { metadata: {}, weight_map };
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
}

/** The weights of a checkpoint on disk, in float64. */
export async function readWeights(checkpoint: Checkpoint): Promise<ReferenceWeights> {
  const weights = new Map<string, Float64Array>();
  for (const { name, file, offset, bytes, dtype } of checkpoint.tensors) {
    weights.set(name, decodeFloats((await readFile(file)).subarray(offset, offset + bytes), dtype));
  }
  return weights;
}

/** What golden.json holds for `prompts`, by the reference. */
export function referenceGolden(
  { config, dtype }: Pick<Checkpoint, "config" | "dtype">,
  weights: ReferenceWeights,
  prompts: readonly (readonly number[])[],
  newTokens: number,
) {
  const cases = prompts.map((prompt) => {
    const model = new ReferenceModel(config, weights);
    const prompt_logprobs: number[] = [];
    let logits: readonly number[] = [];
    for (const [index, token] of prompt.entries()) {
      if (index > 0) prompt_logprobs.push(logSoftmax(logits)[token] ?? Number.NaN);
      logits = model.step(token);
    }
    const last_logits = logits;
    const greedy: number[] = [];
    const greedy_logprobs: number[] = [];
    const greedy_margin: number[] = [];
    while (greedy.length < newTokens) {
      const [best = Number.NaN, second = Number.NaN] = [...logits].sort((a, b) => b - a);
      const token = logits.indexOf(best);
      greedy.push(token);
      greedy_logprobs.push(logSoftmax(logits)[token] ?? Number.NaN);
      greedy_margin.push(best - second);
      logits = model.step(token);
    }
    return { prompt, last_logits, prompt_logprobs, greedy, greedy_logprobs, greedy_margin };
  });
  return { dtype, cases };
}

/** A folder with config.json, as written by the caller, and the file that makes it a golden case. */
export async function writeCase(folder: string, config: object, golden: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "golden.json"), JSON.stringify(golden));
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Normally distributed numbers from a seed (mulberry32, Box and Muller). */
function normalNumbers(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
