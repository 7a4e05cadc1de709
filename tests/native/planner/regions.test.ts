/** The planner's sizes of the embedded engine's regions, against what the addon reserves: byte for byte, for any model. */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { formatConfig } from "../../../core/checkpoint/format-config.ts";
import {
  kvCacheBytes,
  type StoredPrecision,
  type TrainingBytes,
  trainingBytes,
  weightsBytes,
  workspaceBytes,
} from "../../../core/planner/memory/embedded/regions.ts";
import { type EmbeddedShape, embeddedShape } from "../../../core/planner/memory/embedded/shape.ts";
import type { Head } from "../../../core/planner/models/architecture.ts";
import { readArchitecture } from "../../../core/planner/models/from-config.ts";
import { type StatePrecision, statePrecisionSchema } from "../../../core/schedule/schedule.ts";
import { MIB } from "../../../core/units.ts";
import type {
  TrainingBytes as AddonTrainingBytes,
  ModelConfig,
  ModelHead,
  WeightDType,
} from "../../../native/addon.d.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { addon } from "../support.ts";

const DTYPES: Readonly<Record<StoredPrecision, WeightDType>> = {
  fp32: "float32",
  bf16: "bfloat16",
  fp16: "float16",
  int8: "int8",
};
/** The limits as the addon spells them. */
function limitsOf<Given extends { readonly gradients: StatePrecision; readonly moments: StatePrecision }>(
  given: Given,
) {
  const { gradients, moments, ...others } = given;
  return { ...others, gradientDtype: STATE_DTYPES[gradients], momentDtype: STATE_DTYPES[moments] };
}
const STATE_DTYPES = { fp32: "float32", bf16: "bfloat16" } as const;
const HEADS: Readonly<Record<Head, ModelHead>> = { language: "lm", value: "value" };
const THREADS = 3;
const PAGE = 4096;

const size = (most: number) => fc.integer({ min: 1, max: most });
const modelConfig: fc.Arbitrary<ModelConfig> = fc
  .record({
    family: fc.constantFrom("llama", "qwen2", "qwen3"),
    vocabSize: size(500),
    hiddenSize: size(40).map((half) => 2 * half),
    intermediateSize: size(90),
    layers: size(4),
    kvHeads: size(3),
    group: size(3),
    headDim: size(12).map((half) => 2 * half),
    tiedEmbeddings: fc.boolean(),
    attentionBias: fc.boolean(),
    mlpBias: fc.boolean(),
  })
  .map(({ family, group, attentionBias, mlpBias, ...sizes }) => ({
    ...sizes,
    family,
    heads: group * sizes.kvHeads,
    maxPositions: 128,
    rmsNormEps: 1e-6,
    qkvBias: family === "qwen2" || attentionBias,
    outputBias: family !== "qwen2" && attentionBias,
    mlpBias: family === "llama" && mlpBias,
    qkNorm: family === "qwen3",
    rope: { type: "default", theta: 10_000 },
    eosTokenIds: [],
  }));
const precision = fc.constantFrom<StoredPrecision>("fp32", "bf16", "fp16", "int8");
const statePrecision = fc.constantFrom(...statePrecisionSchema.options);
const head = fc.constantFrom<Head>("language", "value");

function shapeOf(config: ModelConfig): EmbeddedShape {
  return embeddedShape(readArchitecture(formatConfig(config), "config.json").architecture, "model");
}

test("weights", () => {
  fc.assert(
    fc.property(modelConfig, precision, head, (config, stored, top) => {
      const reserved = addon.weightBytes(config, DTYPES[stored], HEADS[top]);
      expect(weightsBytes(shapeOf(config), stored, top)).toBe(reserved);
    }),
  );
});

const limits = fc.record({
  microBatch: size(9),
  sequenceTokens: size(100),
  logitRows: size(60),
  checkpointing: fc.boolean(),
  trainable: fc.boolean(),
  masterWeights: fc.boolean(),
  gradients: statePrecision,
  moments: statePrecision,
  threads: fc.constant(THREADS),
});

function bytesOf(reserved: AddonTrainingBytes): TrainingBytes {
  const { gradientsBytes, optimizerBytes, activationsBytes, logitsBytes } = reserved;
  return {
    gradients: gradientsBytes,
    optimizer: optimizerBytes,
    activations: activationsBytes,
    logits: logitsBytes,
  };
}

test("gradients, optimizer, activations and logits", () => {
  fc.assert(
    fc.property(modelConfig, precision, head, limits, (config, stored, top, given) => {
      fc.pre(stored !== "int8" || !given.trainable);
      const reserved = addon.trainingBytes(config, { ...limitsOf(given), dtype: DTYPES[stored], head: HEADS[top] });
      const computer = { kind: "host", threads: THREADS } as const;
      expect(trainingBytes(shapeOf(config), stored, top, { ...given, computer })).toEqual(bytesOf(reserved));
    }),
  );
});

test("the KV cache and the workspace of an engine, in whole pages", async () => {
  const device = addon.openDevice({ name: "host", capacityBytes: 64 * MIB, chunkBytes: PAGE });
  onTestFinished(() => device.close());
  const wholePages = (bytes: number) => Math.ceil(bytes / PAGE) * PAGE;
  for (const config of fc.sample(modelConfig, 12)) {
    const shape = shapeOf(config);
    const asked = 256 * 1024 + 10 * config.layers;
    const model = addon.createModel(device, { config, dtype: "float32", consumer: "engine.weights" });
    const engine = addon.createEngine(device, model, { kvCacheBytes: asked, threads: THREADS });
    const reserved = Object.fromEntries(
      device.observe().regions.map(({ consumer, reservedBytes }) => [consumer, reservedBytes]),
    );
    await engine.close();
    const kvBytes = kvCacheBytes(shape, asked);
    expect(reserved).toEqual({
      "engine.weights": wholePages(weightsBytes(shape, "fp32", "language")),
      "engine.kv_cache": wholePages(kvBytes),
      workspace: wholePages(workspaceBytes(shape, "fp32", kvBytes, { kind: "host", threads: THREADS })),
    });
  }
});

/** The double's card is older than Hopper. */
const ON_DOUBLE = { kind: "gpu", cublasBytes: 4 * MIB } as const;

test("the same on a GPU with cuBLAS", { timeout: 300_000 }, async () => {
  const double = await installComputeDouble({ cublas: true });
  onTestFinished(() => double.remove());
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 1024 * MIB });
  onTestFinished(() => device.close());
  fc.assert(
    fc.property(modelConfig, precision, head, limits, (config, stored, top, given) => {
      fc.pre(stored !== "int8" || !given.trainable);
      const reserved = addon.trainingBytes(config, {
        ...limitsOf(given),
        dtype: DTYPES[stored],
        head: HEADS[top],
        device,
      });
      expect(trainingBytes(shapeOf(config), stored, top, { ...given, computer: ON_DOUBLE })).toEqual(bytesOf(reserved));
    }),
  );
});
