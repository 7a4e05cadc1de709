/**
 * What may not change a gradient: who computes, what is kept and what is released, bit for bit; how the batch is split, bit
 * for bit on the host and but for rounding on a GPU.
 */
import { describe, expect, test } from "vitest";
import { addon, expectReorderedSums, expectSameSums, failure, withFolder } from "../support.ts";
import { CONFIGS, gradientsOf, numbers, type OpenOptions, openTrainer, sequences, weightsOf } from "./support.ts";

const CONFIG = { ...CONFIGS.qwen3, maxPositions: 256 };
/** Longer and shorter than the pieces that sums are made of. */
const BATCH = sequences(CONFIG.vocabSize, [150, 4, 97, 33, 2]).map((sequence, row) => ({
  ...sequence,
  oldLogprobs: numbers(sequence.ids.length - sequence.from, row).map((value) => value - 3.3),
  advantages: numbers(sequence.ids.length - sequence.from, row + 7),
}));
const TOKENS = BATCH.reduce((sum, { advantages }) => sum + advantages.length, 0);
const ROWS = BATCH.reduce((sum, { ids }) => sum + ids.length, 0);
const LOSS = { clipRange: 0.2, entropyCoefficient: 0.01 };

async function gradients(options: OpenOptions) {
  const { trainer, model } = await openTrainer({ config: CONFIG, sequenceTokens: 160, ...options });
  const { loss } = await trainer.policyStep(BATCH, LOSS);
  return { loss, gradients: await gradientsOf(trainer, model) };
}

test.each<OpenOptions>([
  { microBatch: 5 },
  { microBatch: 2 },
  { microBatch: 2, checkpointing: true },
  { microBatch: 3, threads: 1 },
  { microBatch: 3, threads: 3 },
])("the same with %j as with one sequence at a time", async (options) => {
  const [split, single] = [await gradients(options), await gradients({ microBatch: 1 })];
  expectSameSums([split.loss], [single.loss], TOKENS);
  for (const [name, gradient] of split.gradients) {
    expectSameSums(gradient, single.gradients.get(name) ?? [], TOKENS, name);
  }
});

describe("the same bits", () => {
  test.each<OpenOptions>([{}, { checkpointing: true }, { threads: 1 }])(
    "with the same micro-batches, and %j",
    async (options) => {
      expect(await gradients({ microBatch: 2, ...options })).toEqual(await gradients({ microBatch: 2 }));
    },
  );

  test("in several calls, with the whole batch's tokens to divide by", async () => {
    const { trainer, model } = await openTrainer({ config: CONFIG, sequenceTokens: 160 });
    let loss = 0;
    for (const part of [BATCH.slice(0, 2), BATCH.slice(2)]) {
      loss += (await trainer.policyStep(part, { ...LOSS, lossTokens: TOKENS })).loss;
    }
    const whole = await gradients({});
    expect(await gradientsOf(trainer, model)).toEqual(whole.gradients);
    expect(loss).toBeCloseTo(whole.loss, 12);
  });

  test.each(["host", "disk"] as const)("with everything released to %s between the calls", async (mode) => {
    await withFolder(async (directory) => {
      const { trainer, model } = await openTrainer({ config: CONFIG, sequenceTokens: 160 });
      await trainer.policyStep(BATCH.slice(0, 2), { ...LOSS, lossTokens: TOKENS });
      await trainer.release("gradients", { mode, directory });
      await model.release({ mode, directory });
      for (const tag of ["activations", "logits"] as const) await trainer.release(tag, { mode: "discard" });
      await trainer.resume("gradients");
      await model.resume();
      for (const tag of ["activations", "logits"] as const) await trainer.resume(tag);
      await trainer.policyStep(BATCH.slice(2), { ...LOSS, lossTokens: TOKENS });
      expect(await gradientsOf(trainer, model)).toEqual((await gradients({})).gradients);
    });
  });
});

test("tied embeddings add up in another order: the same but for rounding", async () => {
  const config = { ...CONFIG, tiedEmbeddings: true };
  const [one, all] = [await gradients({ config }), await gradients({ config, microBatch: 5 })];
  for (const [name, gradient] of one.gradients) {
    const expected = all.gradients.get(name) ?? [];
    // A row of it at most gets something of every row that reads it, and of every token that is scored with it.
    if (name === "model.embed_tokens.weight") expectReorderedSums(gradient, expected, ROWS + TOKENS, name);
    else expectSameSums(gradient, expected, TOKENS, name);
  }
});

test("five updates with the optimizer offloaded between them end in the same weights", async () => {
  await withFolder(async (directory) => {
    const finals = [];
    for (const mode of [undefined, "host", "disk"] as const) {
      const { trainer, model } = await openTrainer({
        config: CONFIG,
        dtype: "bfloat16",
        masterWeights: true,
        sequenceTokens: 160,
      });
      for (let step = 0; step < 5; step++) {
        await trainer.policyStep(BATCH, LOSS);
        await trainer.optimizerStep({ learningRate: 1e-3 });
        if (mode === undefined) continue;
        await trainer.release("optimizer", { mode, directory });
        await trainer.resume("optimizer");
      }
      finals.push(await weightsOf(model));
    }
    expect(finals[1]).toEqual(finals[0]);
    expect(finals[2]).toEqual(finals[0]);
  });
});

test("weights that were discarded come back from the master weights as the last update left them", async () => {
  const { trainer, model } = await openTrainer({
    config: CONFIG,
    dtype: "bfloat16",
    masterWeights: true,
    sequenceTokens: 160,
  });
  expect(await failure(() => trainer.restoreWeights())).toMatchObject({ code: "contents_undefined" });
  await trainer.policyStep(BATCH, LOSS);
  await trainer.optimizerStep({ learningRate: 1e-3 });
  const before = await weightsOf(model);
  await model.release({ mode: "discard" });
  expect(await failure(() => trainer.policyStep(BATCH, LOSS))).toMatchObject({ code: "not_resident" });
  expect(await trainer.restoreWeights()).toMatchObject({ action: "load", method: "master" });
  expect(await weightsOf(model)).toEqual(before);

  const exact = await openTrainer({ config: CONFIG, masterWeights: true });
  expect(await failure(() => exact.trainer.restoreWeights())).toMatchObject({ code: "unsupported" });
});

test("gradients start at zero after they were discarded, and an optimizer that lost its state says so", async () => {
  const { trainer, model } = await openTrainer({ config: CONFIG, sequenceTokens: 160 });
  const update = () => trainer.optimizerStep({ learningRate: 1e-3 });
  await trainer.policyStep(BATCH.slice(0, 1), LOSS);
  await trainer.release("gradients", { mode: "discard" });
  expect(await failure(() => trainer.policyStep(BATCH, LOSS))).toMatchObject({ code: "not_resident" });
  await trainer.resume("gradients");
  expect(await failure(update)).toMatchObject({ code: "contents_undefined" });
  expect(await failure(() => trainer.readGradient("model.norm.weight"))).toMatchObject({ code: "contents_undefined" });
  await trainer.policyStep(BATCH, LOSS);
  expect(await gradientsOf(trainer, model)).toEqual((await gradients({})).gradients);

  await update();
  expect(await failure(update)).toMatchObject({ code: "contents_undefined" });
  await trainer.release("optimizer", { mode: "discard" });
  await trainer.policyStep(BATCH, LOSS);
  expect(await failure(update)).toMatchObject({ code: "not_resident" });
  await trainer.resume("optimizer");
  const before = await weightsOf(model);
  expect(await failure(update)).toMatchObject({ code: "contents_undefined" });
  expect(await weightsOf(model)).toEqual(before);
  await trainer.resetOptimizer();
  expect(await update()).toMatchObject({ step: 1 });
});

test("a trainer reserves what trainingBytes says, and checkpointing and fewer logit rows take less", async () => {
  const limits = { microBatch: 4, sequenceTokens: 128, threads: 2 };
  const { trainer, device } = await openTrainer({ config: CONFIG, ...limits });
  const bytes = addon.trainingBytes(CONFIG, { ...limits, dtype: "float32", device });
  const { chunkBytes } = device.observe();
  const reserved = Object.fromEntries(trainer.observe().map(({ tag, reservedBytes }) => [tag, reservedBytes]));
  for (const [tag, given] of [
    ["gradients", bytes.gradientsBytes],
    ["optimizer", bytes.optimizerBytes],
    ["activations", bytes.activationsBytes],
    ["logits", bytes.logitsBytes],
  ] as const) {
    expect(reserved[tag], tag).toBe(Math.ceil(given / chunkBytes) * chunkBytes);
  }
  const frugal = addon.trainingBytes(CONFIG, {
    ...{ ...limits, dtype: "float32", device },
    ...{ checkpointing: true, logitRows: 16 },
  });
  expect(frugal.activationsBytes).toBeLessThan(bytes.activationsBytes);
  expect(frugal.logitsBytes).toBeLessThan(bytes.logitsBytes / 4);
  const scoring = addon.trainingBytes(CONFIG, { ...limits, dtype: "bfloat16", trainable: false, device });
  expect(scoring).toMatchObject({ gradientsBytes: 0, optimizerBytes: 0 });
  expect(scoring.activationsBytes).toBeLessThan(frugal.activationsBytes);
});
