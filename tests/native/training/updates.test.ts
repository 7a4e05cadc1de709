/** AdamW and clipping against their formulas, and everything that has to stop an update. */
import { describe, expect, test } from "vitest";
import type { NativeModel } from "../../../native/addon.d.ts";
import { decodeFloats, roundTo } from "../../golden/floats.ts";
import { addon, failure } from "../support.ts";
import { CONFIGS, gradientsOf, openTrainer, sequences, weightsOf } from "./support.ts";

const CONFIG = CONFIGS.llama;
const BATCH = sequences(CONFIG.vocabSize, [12, 5, 9]);
const OPTIONS = { learningRate: 0.01, beta1: 0.8, beta2: 0.9, eps: 1e-6, weightDecay: 0.1, maxGradientNorm: 0.5 };

async function floatsOf(model: NativeModel) {
  const stored = model.tensors()[0]?.dtype ?? "";
  return new Map([...(await weightsOf(model))].map(([name, bytes]) => [name, decodeFloats(bytes, stored)]));
}

/** AdamW in double precision, as Loshchilov and Hutter 2019 (algorithm 2) writes it down. */
class Reference {
  private readonly first = new Map<string, Float64Array>();
  private readonly second = new Map<string, Float64Array>();
  private step = 0;

  apply(weights: Map<string, Float64Array>, gradients: ReadonlyMap<string, Float32Array>): number {
    const { learningRate, beta1, beta2, eps, weightDecay, maxGradientNorm } = OPTIONS;
    const norm = Math.hypot(...[...gradients.values()].map((gradient) => Math.hypot(...gradient)));
    const scale = Math.min(1, maxGradientNorm / (norm + 1e-6));
    this.step++;
    for (const [name, weight] of weights) {
      const first = this.first.get(name) ?? new Float64Array(weight.length);
      const second = this.second.get(name) ?? new Float64Array(weight.length);
      this.first.set(name, first);
      this.second.set(name, second);
      for (const [at, value] of weight.entries()) {
        const gradient = scale * (gradients.get(name)?.[at] ?? Number.NaN);
        const mean = beta1 * (first[at] ?? 0) + (1 - beta1) * gradient;
        const square = beta2 * (second[at] ?? 0) + (1 - beta2) * gradient ** 2;
        first[at] = mean;
        second[at] = square;
        const change = mean / (1 - beta1 ** this.step) / (Math.sqrt(square / (1 - beta2 ** this.step)) + eps);
        weight[at] = value - learningRate * (weightDecay * value + change);
      }
    }
    return norm;
  }
}

describe("three steps of AdamW", () => {
  test.each([
    { dtype: "float32", masterWeights: false, tolerance: 1e-6 },
    // Its rounding is that of the last cast alone: the steps themselves were taken on the float32 copy.
    { dtype: "bfloat16", masterWeights: true, tolerance: 1e-6 },
  ] as const)("$dtype, master weights: $masterWeights", async ({ dtype, masterWeights, tolerance }) => {
    const { trainer, model, weights } = await openTrainer({ config: CONFIG, dtype, masterWeights });
    const expected = new Map(weights);
    const reference = new Reference();
    for (let step = 1; step <= 3; step++) {
      await trainer.languageStep(BATCH);
      const norm = reference.apply(expected, await gradientsOf(trainer, model));
      const receipt = await trainer.optimizerStep(OPTIONS);
      expect(receipt.step).toBe(step);
      expect(receipt.gradientNorm / norm).toBeCloseTo(1, 6);
      expect(receipt.clipCoefficient).toBeCloseTo(Math.min(1, OPTIONS.maxGradientNorm / (norm + 1e-6)), 6);
      expect(receipt.clipCoefficient).toBeLessThan(1);
    }
    for (const [name, actual] of await floatsOf(model)) {
      for (const [at, value] of actual.entries()) {
        const wanted = expected.get(name)?.[at] ?? Number.NaN;
        // A value at the middle between two of bfloat16 may be rounded either way.
        const steps =
          dtype === "bfloat16" ? Math.abs(roundTo(dtype, wanted) - value) / Math.abs(wanted) : Math.abs(wanted - value);
        expect(steps, `${name}[${at}]`).toBeLessThan(dtype === "bfloat16" ? 2 ** -7 : tolerance);
      }
    }
  });

  test("small steps add up with master weights, and are lost to rounding without", async () => {
    const moved = [];
    for (const masterWeights of [true, false]) {
      const { trainer, model, weights } = await openTrainer({ config: CONFIG, dtype: "bfloat16", masterWeights });
      for (let step = 0; step < 12; step++) {
        await trainer.languageStep(BATCH);
        await trainer.optimizerStep({ learningRate: 2e-4, weightDecay: 0 });
      }
      const after = (await floatsOf(model)).get("model.norm.weight") ?? new Float64Array();
      moved.push(after.filter((value, at) => value !== weights.get("model.norm.weight")?.[at]).length);
    }
    expect(moved[0]).toBeGreaterThan(2 * (moved[1] ?? Number.NaN));
  });
});

test("a model learns a text by heart", async () => {
  const { trainer } = await openTrainer({ config: CONFIG, microBatch: 3 });
  const { loss: before } = await trainer.languageStep(BATCH);
  for (let step = 0; step < 150; step++) {
    await trainer.optimizerStep({ learningRate: 0.01, weightDecay: 0 });
    await trainer.languageStep(BATCH);
  }
  const { loss: after } = await trainer.languageStep(BATCH);
  expect(before).toBeGreaterThan(2.5);
  expect(after).toBeLessThan(0.1);
});

describe("what is not finite", () => {
  test("a NaN in the weights stops the loss", async () => {
    const poison = (weights: Map<string, Float64Array>) => weights.get("model.norm.weight")?.fill(Number.NaN, 3, 4);
    const { trainer, model } = await openTrainer({ config: CONFIG, edit: poison });
    const before = await weightsOf(model);
    expect(await failure(() => trainer.languageStep(BATCH))).toMatchObject({ code: "not_finite" });
    expect(await failure(() => trainer.optimizerStep(OPTIONS))).toMatchObject({ code: "contents_undefined" });
    expect(await weightsOf(model)).toEqual(before);
  });

  test("a gradient that overflows stops the update, names a tensor, and leaves weights and optimizer as they were", async () => {
    const { trainer, model } = await openTrainer({ config: CONFIG });
    const policy = (advantage: number) =>
      BATCH.map((sequence) => {
        const count = sequence.ids.length - sequence.from;
        return { ...sequence, oldLogprobs: Array(count).fill(-3), advantages: Array(count).fill(advantage) };
      });
    await trainer.policyStep(policy(1), { clipRange: 10 });
    await trainer.optimizerStep(OPTIONS);
    const before = await weightsOf(model);
    await trainer.policyStep(policy(-1e39), { clipRange: 10 });
    expect(await failure(() => trainer.optimizerStep(OPTIONS))).toMatchObject({
      code: "not_finite",
      tensor: "lm_head.weight",
    });
    expect(await weightsOf(model)).toEqual(before);
    await trainer.release("gradients", { mode: "discard" });
    await trainer.resume("gradients");
    await trainer.policyStep(policy(1), { clipRange: 10 });
    expect(await trainer.optimizerStep(OPTIONS)).toMatchObject({ step: 2 });
  });

  test("an infinite score is refused before anything is computed from it", () => {
    const row = [[-1, -2]];
    const inputs = { oldLogprobs: row, referenceLogprobs: row, values: row, klCoefficient: 0.1, gamma: 1, lambda: 1 };
    expect(() => addon.ppoAdvantages({ ...inputs, scores: [Number.POSITIVE_INFINITY] })).toThrow(
      expect.objectContaining({ code: "not_finite", tensor: "scores" }),
    );
  });
});

test("a cancelled step drops what was accumulated and changes no weight", async () => {
  const { trainer, model } = await openTrainer({ config: CONFIG });
  await trainer.languageStep(BATCH);
  const before = await weightsOf(model);
  const cancellation = addon.createCancellation();
  cancellation.cancel();
  expect(await failure(() => trainer.languageStep(BATCH, { cancellation }))).toMatchObject({ code: "cancelled" });
  expect(await failure(() => trainer.optimizerStep(OPTIONS))).toMatchObject({ code: "contents_undefined" });
  expect(await weightsOf(model)).toEqual(before);
});

test("progress counts up to the end", async () => {
  const { trainer } = await openTrainer({ config: CONFIG });
  const seen: (readonly [done: number, total: number])[] = [];
  await trainer.languageStep(BATCH, { onProgress: (done, total) => seen.push([done, total]) });
  const rows = BATCH.reduce((sum, { ids }) => sum + ids.length, 0);
  expect(seen.at(-1)).toEqual([2 * rows * CONFIG.layers, 2 * rows * CONFIG.layers]);
});

describe("refused, with the gradients so far kept", () => {
  const [first = { ids: [0, 1], from: 1 }] = BATCH;
  test.each([
    ["a token outside the vocabulary", [{ ids: [1, CONFIG.vocabSize], from: 1 }], "ids"],
    ["a sequence that is too long", [{ ids: Array(65).fill(1), from: 1 }], "ids"],
    ["an empty sequence", [{ ids: [], from: 1 }], "from"],
    ["a first token to predict", [{ ...first, from: 0 }], "from"],
    ["nothing to learn from", [{ ...first, from: first.ids.length }], "sequences"],
  ])("%s", async (_, sequences, field) => {
    const { trainer } = await openTrainer({ config: CONFIG });
    await trainer.languageStep(BATCH);
    expect(await failure(() => trainer.languageStep(sequences))).toMatchObject({ code: "bad_argument", field });
    expect(await trainer.optimizerStep(OPTIONS)).toMatchObject({ step: 1 });
  });

  test("the other head's work, training a model that only scores, and too little memory", async () => {
    const critic = await openTrainer({ config: CONFIG, head: "value" });
    expect(await failure(() => critic.trainer.languageStep(BATCH))).toMatchObject({ code: "bad_argument" });
    const scorer = await openTrainer({ config: CONFIG, trainable: false });
    expect(await failure(() => scorer.trainer.languageStep(BATCH))).toMatchObject({ code: "unsupported" });
    expect(scorer.trainer.observe().map(({ consumer }) => consumer)).toEqual(["activations", "logits"]);

    const { device, trainer } = critic;
    await trainer.release("activations", { mode: "discard" });
    device.setCapacity(device.observe().committedBytes);
    expect(await failure(() => trainer.resume("activations"))).toMatchObject({ code: "out_of_memory" });
    expect(await failure(() => trainer.values(BATCH))).toMatchObject({ code: "not_resident" });
  });
});
