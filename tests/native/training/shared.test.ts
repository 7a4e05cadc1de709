/** An engine that reads the policy's own bytes, and a trainer that changes them. */
import { expect, onTestFinished, test } from "vitest";
import { LONG_KV_BYTES, longRequests, openEngine, start } from "../engine/support.ts";
import { addon, CHUNK_BYTES, failure } from "../support.ts";
import { ALL_TAGS } from "./support.ts";

const PROMPT = [17, 4, 99, 23];

async function openShared() {
  const opened = await openEngine({ kvCacheBytes: LONG_KV_BYTES, chunkBytes: CHUNK_BYTES });
  const { checkpoint, createModel, device, engine } = opened;
  const policy = createModel("policy.weights");
  await policy.load(checkpoint.tensors);
  const trainer = addon.createTrainer(device, { model: policy, consumerPrefix: "policy", sequenceTokens: 16 });
  onTestFinished(() => trainer.close());
  for (const tag of ALL_TAGS) await trainer.resume(tag);
  await engine.swap({ source: { kind: "model", model: policy }, method: "share", running: "refuse" });
  const step = async () => trainer.languageStep([{ ids: [...PROMPT, 5, 6, 7] }]);
  const update = async () => trainer.optimizerStep({ learningRate: 1e-2 });
  const logits = async () => Array.from((await engine.score(PROMPT)).lastLogits);
  return { ...opened, policy, trainer, step, update, logits };
}

test("an update is the engine's at once, and counts as new weights", async () => {
  const { engine, policy, createModel, step, update, logits } = await openShared();
  const before = { logits: await logits(), version: engine.observe().weightsVersion };
  await step();
  expect(engine.observe().weightsVersion).toBe(before.version);
  await update();
  const after = await logits();
  expect(after).not.toEqual(before.logits);
  expect(engine.observe()).toMatchObject({ status: "idle", weightsVersion: before.version + 1 });

  // The same as weights that came by copy.
  const copy = createModel("reference.weights");
  await copy.copyFrom(policy);
  await engine.swap({ source: { kind: "model", model: copy }, method: "copy", running: "refuse" });
  expect(await logits()).toEqual(after);
  await step();
  await update();
  expect(await logits(), "no longer shared").toEqual(after);
  expect(engine.observe().weightsVersion).toBe(before.version + 2);
});

test("while the engine generates from them, weights do not change; the gradients wait", async () => {
  const { engine, policy, step, update } = await openShared();
  const undisturbed = await start(engine, longRequests()).done;
  await step();
  const before = await policy.readTensor("lm_head.weight");
  const version = engine.observe().weightsVersion;
  const running = start(engine, longRequests());
  await running.tokens(1);
  expect(await failure(update)).toMatchObject({ code: "busy" });
  await engine.pause("in_place");
  expect(await failure(update), "their keys and values are of the old weights").toMatchObject({ code: "busy" });
  await engine.continue();
  expect((await running.done).map(({ tokens }) => tokens)).toEqual(undisturbed.map(({ tokens }) => tokens));
  expect(await policy.readTensor("lm_head.weight")).toEqual(before);
  expect(engine.observe().weightsVersion).toBe(version);
  expect(await update()).toMatchObject({ step: 1 });
});

test("requests that a pause retracted go on with the new weights", async () => {
  const { engine, step, update } = await openShared();
  await step();
  const running = start(engine, longRequests());
  await running.tokens(1);
  await engine.pause("retract");
  await update();
  await engine.continue();
  for (const { finished } of await running.done) expect(finished).toMatchObject({ reason: "length" });
});

test("an engine that was closed is in nobody's way", async () => {
  const { engine, step, update } = await openShared();
  await step();
  await engine.close();
  expect(await update()).toMatchObject({ step: 1 });
});
