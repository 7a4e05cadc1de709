/** The two fractions, against servers' own logs and by hand. */
import { describe, expect, it } from "vitest";
import { sglangBudget, vllmBudget } from "../../../../core/planner/export/budget.ts";
import { gpuMemoryUtilization, memFractionStatic } from "../../../../core/planner/export/fractions.ts";
import { GIB } from "../../../../core/units.ts";
import { ENGINE, engineWith, FIGURES } from "./figures.ts";

const NOTHING = {
  weightsBytes: 0,
  kvCacheBytes: 0,
  forwardBytes: 0,
  cudaGraphBytes: 0,
  contextBytes: 0,
  nonTorchBytes: 0,
  trainersAtStartBytes: 0,
};

describe("SGLang's is of what is free before the weights", () => {
  // What servers logged (before, after the weights, tokens in the pool) and the fraction they had been given.
  it.each([
    ["Llama-3.1-8B, H100", 78.81, 63.72, 444_500 * 131_072, 0.88],
    ["the same, another run", 78.59, 63.48, 442_750 * 131_072, 0.88],
    ["R1-Distill-Qwen-7B, RTX 3090", 22.76, 8.37, 105_531 * 57_344, 0.88],
    ["Llama-3.1-8B, 24 GB", 22.39, 7.37, 38_141 * 131_072, 0.879],
  ])("%s", (_, beforeGib, afterGib, kvCacheBytes, given) => {
    const engine = { ...NOTHING, weightsBytes: (beforeGib - afterGib) * GIB, kvCacheBytes };
    // The pool is whole tokens and the log has two digits: 0.01 GiB of 22 is the tolerance.
    expect(Math.abs(memFractionStatic(beforeGib * GIB, engine, "first") - given)).toBeLessThan(0.001);
  });

  it("so trainers that are there first make it larger, for the same pool", () => {
    // 35 GiB of 79.5, and of 50
    expect(memFractionStatic(80 * GIB, ENGINE, "first")).toBe(0.4402);
    expect(memFractionStatic(80 * GIB, ENGINE, "after_trainers")).toBe(0.7);
  });
});

describe("vLLM's is of the card's total", () => {
  // Published tables: weights, other memory, profiled pass and KV cache of cards, with the fraction they were started with.
  it.each([
    [
      "Llama-3-8B, H100",
      79.22,
      { weightsBytes: 14.96, nonTorchBytes: 1.79, forwardBytes: 1.26, kvCacheBytes: 53.29 },
      0.9,
    ],
    [
      "Llama-8B on 2 V100",
      15.77,
      { weightsBytes: 7.51, nonTorchBytes: 0.39, forwardBytes: 2.53, kvCacheBytes: 3.76 },
      0.9,
    ],
    [
      "Llama-3.2-11B-Vision, H100",
      79.22,
      { weightsBytes: 19.86, nonTorchBytes: 0.16, forwardBytes: 36.63, kvCacheBytes: 14.65 },
      0.9,
    ],
  ])("%s", (_, totalGib, gib, given) => {
    const engine = {
      ...NOTHING,
      ...Object.fromEntries(Object.entries(gib).map(([name, value]) => [name, value * GIB])),
    };
    expect(Math.abs(gpuMemoryUtilization(totalGib * GIB, engine, false) - given)).toBeLessThan(0.001);
  });

  it("by hand: a pass and NCCL count, the context and trainers do not, graphs since 0.21", () => {
    // 15 + 20 + 4 + 0.5 = 39.5 of 80
    expect(gpuMemoryUtilization(80 * GIB, ENGINE, false)).toBe(0.4937);
    expect(gpuMemoryUtilization(80 * GIB, ENGINE, true)).toBe(0.5062);
  });
});

it("both round down: a server never takes more than was planned", () => {
  const third = { ...NOTHING, kvCacheBytes: GIB };
  expect(memFractionStatic(3 * GIB, third, "first")).toBe(0.3333);
  expect(gpuMemoryUtilization(1.5 * GIB, third, false)).toBe(0.6666);
});

describe("what does not fit is said instead of written", () => {
  it("SGLang: the pass and the graphs have to live in the rest", () => {
    expect(sglangBudget(FIGURES, "after_trainers").unexpressed).toEqual([]);
    const full = sglangBudget(engineWith({ kvCacheBytes: 31 * GIB }), "after_trainers");
    expect(full.unexpressed).toEqual([
      {
        what: "KV cache of 31.0 GiB",
        why: "the engine needs 51.0 GiB and 50.0 GiB is there",
        nearest: "a smaller KV cache, or more GPUs for the engine",
      },
    ]);
    expect(sglangBudget(engineWith({ kvCacheBytes: 40 * GIB }), "after_trainers").fraction).toBeUndefined();
  });

  it("vLLM: it does not start where its whole fraction is not free", () => {
    expect(vllmBudget(FIGURES, "after_trainers", true).unexpressed).toEqual([]);
    const crowded = engineWith({ trainersAtStartBytes: 45 * GIB });
    expect(vllmBudget(crowded, "first", true).unexpressed).toEqual([]);
    expect(vllmBudget(crowded, "after_trainers", true).unexpressed).toEqual([
      {
        what: "engine started beside 45.0 GiB of trainers",
        why: "vLLM starts only where its whole fraction is free, and 34.5 GiB is",
        nearest: "start the engine first, or offload the trainers before",
      },
    ]);
    const large = vllmBudget(engineWith({ kvCacheBytes: 70 * GIB }), "first", true);
    expect(large.fraction).toBeUndefined();
    expect(large.unexpressed[0]?.what).toBe("KV cache of 70.0 GiB");
  });
});
