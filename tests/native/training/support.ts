/**
 * Trainers on small random models, for the tests beside this file. Weights come from tests/golden/models.ts, so that
 * the float64 reference can be given the same ones.
 */
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { makeHeader } from "../../../core/checkpoint/safetensors.ts";
import { MIB } from "../../../core/units.ts";
import type {
  DType,
  ModelConfig,
  ModelHead,
  NativeDevice,
  NativeModel,
  NativeTrainer,
  TensorSource,
  TrainerLimits,
  TrainerTag,
} from "../../../native/addon.d.ts";
import { decodeFloats, encodeFloats } from "../../golden/floats.ts";
import { type ModelTensor, randomTensors, writeTensors } from "../../golden/models.ts";
import type { ReferenceWeights } from "../../golden/reference.ts";
import { addon, testDevice, withFolder } from "../support.ts";

const BASE = {
  vocabSize: 29,
  hiddenSize: 24,
  intermediateSize: 40,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  maxPositions: 64,
  rmsNormEps: 1e-5,
  tiedEmbeddings: false,
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  rope: { type: "default", theta: 10000 },
  eosTokenIds: [],
} as const satisfies Partial<ModelConfig>;

/** What the three families can have, in sizes that divide by nothing a vector is long. */
export const CONFIGS = {
  llama: { ...BASE, family: "llama", kvHeads: 1, outputBias: true, mlpBias: true, qkvBias: true },
  qwen2: { ...BASE, family: "qwen2", qkvBias: true, tiedEmbeddings: true, vocabSize: 37 },
  qwen3: { ...BASE, family: "qwen3", qkNorm: true, headDim: 10, rope: { type: "linear", theta: 1e4, factor: 2 } },
} as const satisfies Record<ModelConfig["family"], ModelConfig>;

export const ALL_TAGS = ["gradients", "optimizer", "activations", "logits"] as const satisfies readonly TrainerTag[];

export interface Opened {
  readonly device: NativeDevice;
  readonly model: NativeModel;
  readonly trainer: NativeTrainer;
  readonly weights: ReferenceWeights;
}

export interface OpenOptions extends TrainerLimits {
  readonly config?: ModelConfig;
  readonly dtype?: DType;
  readonly head?: ModelHead;
  readonly seed?: number;
  /** Changes the weights before they are loaded. */
  readonly edit?: (weights: Map<string, Float64Array>) => void;
}

/** A trainer on a random model, everything resident; closed when the test is over. */
export async function openTrainer(options: OpenOptions = {}): Promise<Opened> {
  const { config = CONFIGS.llama, dtype = "float32", head = "lm", seed = 1, edit, ...limits } = options;
  const device = addon.openDevice({ name: testDevice(), capacityBytes: 256 * MIB });
  const model = addon.createModel(device, { config, dtype, head, consumer: "policy.weights" });
  const trainer = addon.createTrainer(device, { model, consumerPrefix: "policy", sequenceTokens: 64, ...limits });
  onTestFinished(async () => {
    await trainer.close();
    await model.close();
    await device.close();
  });
  const tensors = tensorsFor(config, dtype, head, seed);
  const weights = new Map(tensors.map(({ name, dtype: stored, bytes }) => [name, decodeFloats(bytes, stored)]));
  edit?.(weights);
  await loadTensors(
    model,
    tensors.map((tensor) => ({
      ...tensor,
      bytes: encodeFloats(weights.get(tensor.name) ?? new Float64Array(), tensor.dtype),
    })),
  );
  for (const tag of limits.trainable === false ? (["activations", "logits"] as const) : ALL_TAGS)
    await trainer.resume(tag);
  return { device, model, trainer, weights };
}

export function tensorsFor(config: ModelConfig, dtype: DType, head: ModelHead, seed: number): readonly ModelTensor[] {
  if (head === "lm") return randomTensors(config, dtype, seed);
  // A value head is a language model's head for a vocabulary of one.
  const untied = randomTensors({ ...config, tiedEmbeddings: false }, dtype, seed);
  return untied.map((tensor) =>
    tensor.name === "lm_head.weight"
      ? {
          ...tensor,
          name: "value_head.weight",
          shape: [1, config.hiddenSize],
          bytes: tensor.bytes.slice(0, tensor.bytes.byteLength / config.vocabSize),
        }
      : tensor,
  );
}

/** Loads tensors through a file, as every model is loaded. */
export async function loadTensors(model: NativeModel, tensors: readonly ModelTensor[]): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, "model.safetensors");
    await writeTensors(file, tensors);
    let offset = makeHeader(tensors, { format: "pt" }).byteLength;
    const sources: TensorSource[] = [];
    for (const { name, dtype, shape, bytes } of tensors) {
      sources.push({ name, dtype, shape, file, offset, bytes: bytes.byteLength });
      offset += bytes.byteLength;
    }
    await model.load(sources);
  });
}

/** Sequences of different lengths, the same every time; responses begin at different places. */
export function sequences(vocabSize: number, lengths: readonly number[]) {
  return lengths.map((length, row) => ({
    ids: Array.from({ length }, (_, at) => (row * 11 + at * at * 7 + at * 3 + 5) % vocabSize),
    from: 1 + (row % 3),
  }));
}

/** Numbers of both signs from -1 to 1, the same every time. */
export function numbers(count: number, salt: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => Math.sin(12.9898 * (index + 1) + 78.233 * salt));
}

export async function gradientsOf(
  trainer: NativeTrainer,
  model: NativeModel,
): Promise<ReadonlyMap<string, Float32Array>> {
  const gradients = new Map<string, Float32Array>();
  for (const { name } of model.tensors()) gradients.set(name, await trainer.readGradient(name));
  return gradients;
}

/** Everything a model holds, as bytes by tensor. */
export async function weightsOf(model: NativeModel): Promise<ReadonlyMap<string, Uint8Array>> {
  const weights = new Map<string, Uint8Array>();
  for (const { name } of model.tensors()) weights.set(name, await model.readTensor(name));
  return weights;
}
