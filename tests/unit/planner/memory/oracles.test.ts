/** Figures that nobody of this project computed: papers, documentation, and logs of servers and trainers. */
import { describe, expect, test } from "vitest";
import { kvBytesPerToken, vllmPoolBytes, vllmPoolTokens } from "../../../../core/planner/memory/engine/kv-cache.ts";
import { launcherMemory } from "../../../../core/planner/memory/launcher/footprint.ts";
import { type StepOptions, trainTape } from "../../../../core/planner/memory/pytorch/step.ts";
import { parameterCount } from "../../../../core/planner/models/architecture.ts";
import { modelNamed } from "../../../../core/planner/models/catalogue.ts";
import { sumOf } from "../../../../core/planner/provenance.ts";
import { resolvePlan } from "../../../../core/planner/resolve.ts";
import { GIB, KIB } from "../../../../core/units.ts";
import { planWith } from "../plans.ts";

describe("bytes that a token takes in the KV cache, bf16", () => {
  test.each([
    ["Llama-2-7B", 512],
    ["Llama-3.1-8B", 128],
    ["Mistral-7B-v0.1", 128],
    ["Mixtral-8x7B", 128],
    ["Llama-3.1-70B", 320],
    ["Qwen2.5-0.5B", 12],
    ["Qwen2.5-1.5B", 28],
    ["Qwen2.5-7B", 56],
    ["Qwen3-8B", 144],
    ["Qwen3-30B-A3B", 96],
    ["DeepSeek-V2-Lite", 30.375],
    ["gemma-2-9b", 336],
  ])("%s: %s KiB", (name, kib) => {
    expect(kvBytesPerToken(modelNamed(name), 2)).toBe(kib * KIB);
  });
});

describe("vLLM's pool", () => {
  const pool = (totalGib: number, utilization: number, weights: number, nonTorch: number, forward: number) =>
    vllmPoolBytes({
      totalBytes: totalGib * GIB,
      gpuMemoryUtilization: utilization,
      weightsBytes: weights * GIB,
      nonTorchBytes: nonTorch * GIB,
      forwardBytes: forward * GIB,
    }) / GIB;

  test("what its logs add up to (vllm#10511, #12126)", () => {
    expect(pool(79.22, 0.9, 14.96, 1.79, 1.26)).toBeCloseTo(53.29, 1);
    expect(pool(79.22, 0.9, 19.86, 0.16, 36.63)).toBeCloseTo(14.65, 1);
  });

  test("blocks and tokens (vllm#2031, #17122)", () => {
    const llama2 = kvBytesPerToken(modelNamed("Llama-2-7B"), 2);
    expect(vllmPoolTokens(57.43 * GIB, llama2)).toBe(7351 * 16);
    expect(158_656 * kvBytesPerToken(modelNamed("Llama-3.1-8B"), 2)).toBeCloseTo(19.37 * GIB, -7);
    expect((20_865 * 16 * kvBytesPerToken(modelNamed("Llama-2-70B"), 2, 4)) / GIB).toBeCloseTo(25.47, 2);
  });

  test("what the longest sequence needs (vllm#15871, xinference#4926)", () => {
    expect((32_768 * kvBytesPerToken(modelNamed("DeepSeek-V2-Lite"), 2)) / GIB).toBeCloseTo(0.949, 3);
    expect((262_144 * kvBytesPerToken(modelNamed("Qwen3-8B"), 2)) / GIB).toBe(36);
  });

  test("what does not start", () => {
    const llama70 = modelNamed("Llama-3.1-70B");
    const embeddings = 2 * llama70.vocabSize * llama70.hiddenSize;
    // FP8, but for embedding and output projection.
    const fp8 = (parameterCount(llama70) + embeddings) / GIB;
    expect(pool(79.18, 0.9, fp8, 0.13, 4.84)).toBeLessThan(0);
    const qwen = modelNamed("Qwen3-32B");
    const qwenPool = pool(79.18, 0.9, (2 * parameterCount(qwen)) / GIB, 0.13, 5.64) * GIB;
    expect(vllmPoolTokens(qwenPool, kvBytesPerToken(qwen, 2))).toBeLessThan(32_000);
    expect(vllmPoolTokens(2 * qwenPool, kvBytesPerToken(qwen, 2))).toBeGreaterThan(32_000);
  });

  test("on two GPUs the same model starts", () => {
    const qwen = modelNamed("Qwen3-32B");
    const bytes = pool(79.18, 0.9, parameterCount(qwen) / GIB, 0.54, 5.64) * GIB;
    expect(vllmPoolTokens(bytes, kvBytesPerToken(qwen, 2, 2))).toBeGreaterThan(32_000);
  });
});

/** Gigabytes (10^9) of weights, gradients and optimizer on each GPU, of a model of `billions` weights. */
function zeroGigabytes(stage: 0 | 1 | 2 | 3, gpus: number, billions: number): number {
  const trained = { model: "Llama-2-7B", masterWeights: true };
  const resolved = resolvePlan(planWith({ workload: { policy: trained }, placement: { gpus, zeroStage: stage } }));
  const { weights, gradients, optimizer } = launcherMemory(resolved).policy;
  const bytes = sumOf(weights) + sumOf(gradients) + sumOf(optimizer);
  return (bytes / parameterCount(modelNamed("Llama-2-7B"))) * billions;
}

test.each([
  [1, 120, 120, 120],
  [4, 52.5, 41.25, 30],
  [16, 35.6, 21.6, 7.5],
  [64, 31.4, 16.6, 1.88],
  [256, 30.4, 15.4, 0.47],
])("ZeRO, table 1, 7.5 billion weights on %i GPUs", (gpus, optimizer, gradients, weights) => {
  expect(zeroGigabytes(0, gpus, 7.5)).toBeCloseTo(120, 1);
  expect(zeroGigabytes(1, gpus, 7.5)).toBeCloseTo(optimizer, 0);
  expect(zeroGigabytes(2, gpus, 7.5)).toBeCloseTo(gradients, 0);
  expect(zeroGigabytes(3, gpus, 7.5)).toBeCloseTo(weights, 1);
});

test("torchtitan: what 8 GPUs hold more than 128 of an 8B model under FSDP, 15.0 to 15.4 GiB measured", () => {
  const more = zeroGigabytes(3, 8, 8.03) - zeroGigabytes(3, 128, 8.03);
  expect((more * 1e9) / GIB / 15.2).toBeGreaterThan(0.9);
});

test("stas00: 0.43 MiB a token for Llama-3.1-8B with gradient checkpointing, Liger and ZeRO-3", () => {
  const options: Omit<StepOptions, "batch"> = {
    storage: { itemBytes: 2, quantisedBytes: undefined, training: { kind: "all" }, tensorParallel: 1 },
    autocast: false,
    checkpointing: true,
    attention: "flash",
    keyValueCache: false,
    fused: true,
    head: "language",
    lossRows: 1024,
    optimizer: { bytesPerWeight: () => [], counts: false },
    kernels: { multiprocessors: 132, cublasBytes: 2 ** 25 },
    folded: true,
    warm: ["forward", "backward"],
  };
  const peakGib = (length: number) => {
    const tape = trainTape(
      modelNamed("Llama-3.1-8B"),
      { ...options, batch: { sequences: 1, length, masked: false } },
      1,
    );
    // Sharded over eight GPUs, weights and gradients do not grow with the tokens.
    return Math.max(...tape.stages({ weights: 0, gradients: 0 }).map(({ peakBytes }) => peakBytes)) / GIB;
  };
  const measured = (124.5 - 25.8) / (262_144 - 32_768);
  const predicted = (peakGib(262_144) - peakGib(32_768)) / (262_144 - 32_768);
  expect(Math.abs(predicted / measured - 1)).toBeLessThan(0.1);
});

test("QLoRA: 65 billion weights in NF4 leave room on a card of 48 GB", () => {
  const llama = { model: "meta-llama/Llama-3.1-70B", precision: "nf4" };
  const { reference } = launcherMemory(resolvePlan(planWith({ workload: { reference: llama } })));
  const scaled = (sumOf(reference.weights) / parameterCount(modelNamed("Llama-3.1-70B"))) * 65.2e9;
  expect(scaled).toBeLessThan(44.4 * GIB * 0.9);
});
