/** Several trainers on one set of activations and logits: the same numbers, less memory. */
import { expect, onTestFinished, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { ModelHead, NativeScratch, TrainerLimits } from "../../../native/addon.d.ts";
import { randomTensors } from "../../golden/models.ts";
import { addon, failure, testDevice } from "../support.ts";
import { CONFIGS, loadTensors, sequences, weightsOf } from "./support.ts";

const CONFIG = CONFIGS.qwen3;
const GIVEN = sequences(CONFIG.vocabSize, [30, 7, 19]);
/** Who shares: a policy that learns, and a smaller reference that only scores. */
const POLICY: TrainerLimits = { sequenceTokens: 32, microBatch: 3, threads: 2 };
const REFERENCE: TrainerLimits = { sequenceTokens: 30, logitRows: 4, trainable: false, threads: 2 };

function openDevice() {
  const device = addon.openDevice({ name: testDevice(), capacityBytes: 256 * MIB, chunkBytes: 64 * 1024 });
  onTestFinished(() => device.close());
  return device;
}

async function openBoth(shared: boolean) {
  const device = openDevice();
  const needs = [POLICY, REFERENCE].map((limits) =>
    addon.trainingBytes(CONFIG, { ...limits, dtype: "float32", device }),
  );
  const scratch: NativeScratch | undefined = shared
    ? addon.createScratch(device, {
        activationsBytes: Math.max(...needs.map(({ activationsBytes }) => activationsBytes)),
        logitsBytes: Math.max(...needs.map(({ logitsBytes }) => logitsBytes)),
      })
    : undefined;
  if (scratch) onTestFinished(() => scratch.close());
  const open = async (role: string, limits: TrainerLimits, seed: number, head: ModelHead = "lm") => {
    const model = addon.createModel(device, { config: CONFIG, dtype: "float32", head, consumer: `${role}.weights` });
    const trainer = addon.createTrainer(device, {
      ...limits,
      model,
      consumerPrefix: role,
      ...(scratch && { scratch }),
    });
    onTestFinished(async () => {
      await trainer.close();
      await model.close();
    });
    await loadTensors(model, randomTensors(CONFIG, "float32", seed));
    return { model, trainer };
  };
  const policy = await open("policy", POLICY, 1);
  const reference = await open("reference", REFERENCE, 2);
  for (const tag of ["gradients", "optimizer"] as const) await policy.trainer.resume(tag);
  for (const owner of scratch ? [scratch] : [policy.trainer, reference.trainer]) {
    for (const tag of ["activations", "logits"] as const) await owner.resume(tag);
  }
  return { device, scratch, policy, reference };
}

async function learn({ policy, reference }: Awaited<ReturnType<typeof openBoth>>) {
  const scores = [];
  for (let step = 0; step < 3; step++) {
    await policy.trainer.languageStep(GIVEN);
    scores.push(await reference.trainer.scoreTokens(GIVEN), await policy.trainer.scoreTokens(GIVEN));
    await policy.trainer.optimizerStep({ learningRate: 1e-2 });
  }
  return { scores, weights: await weightsOf(policy.model) };
}

test("taking turns changes no bit", async () => {
  expect(await learn(await openBoth(true))).toEqual(await learn(await openBoth(false)));
});

test("there is one of each, as large as the largest; anyone who shares it may release it for all", async () => {
  const { device, scratch, policy, reference } = await openBoth(true);
  if (scratch === undefined) throw new Error("there is a scratch");
  const regions = device.observe().regions.filter(({ tag }) => tag === "activations" || tag === "logits");
  expect(regions).toHaveLength(2);
  expect(scratch.observe()).toEqual(regions);
  expect(reference.trainer.observe()).toEqual(regions);

  await policy.trainer.release("activations", { mode: "discard" });
  expect(await failure(() => reference.trainer.scoreTokens(GIVEN))).toMatchObject({ code: "not_resident" });
  expect(await failure(() => scratch.release("activations", { mode: "discard" }))).toMatchObject({
    code: "already_released",
  });
  await scratch.resume("activations");
  await policy.trainer.close();
  expect(await failure(() => policy.trainer.scoreTokens(GIVEN))).toMatchObject({ code: "bad_argument" });
  expect(await reference.trainer.scoreTokens(GIVEN)).toHaveLength(GIVEN.length);
});

test("too small, or on another device: refused before anything is reserved", async () => {
  const device = openDevice();
  const model = addon.createModel(device, { config: CONFIG, dtype: "float32", consumer: "policy.weights" });
  onTestFinished(() => model.close());
  const { activationsBytes, logitsBytes } = addon.trainingBytes(CONFIG, { ...POLICY, dtype: "float32", device });
  const before = device.observe().regions.length;
  for (const [on, bytes] of [
    [device, { activationsBytes: activationsBytes - 1, logitsBytes }],
    [device, { activationsBytes, logitsBytes: logitsBytes - 1 }],
    [openDevice(), { activationsBytes, logitsBytes }],
  ] as const) {
    const scratch = addon.createScratch(on, bytes);
    expect(
      await failure(() => addon.createTrainer(device, { ...POLICY, model, consumerPrefix: "policy", scratch })),
    ).toMatchObject({ code: "bad_argument", field: "scratch" });
    await scratch.close();
  }
  expect(device.observe().regions).toHaveLength(before);
});
