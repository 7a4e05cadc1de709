/** NativeModel.copyFrom: one copy of all weights, from a model or from what an engine uses, cast where dtypes differ. */
import { expect, test } from "vitest";
import type { DType, NativeWeights } from "../../../native/addon.d.ts";
import { decodeFloats, encodeFloats } from "../../golden/floats.ts";
import { addon, failure } from "../support.ts";
import { LONG_KV_BYTES, longRequests, openEngine, openFixture, start } from "./support.ts";

async function weightsOf(from: NativeWeights): Promise<ReadonlyMap<string, Uint8Array>> {
  const weights = new Map<string, Uint8Array>();
  for (const { name } of from.tensors()) weights.set(name, await from.readTensor(name));
  return weights;
}

const STORED: Readonly<Record<DType, string>> = { float32: "F32", float16: "F16", bfloat16: "BF16" };

test.each([
  ["float32", "float32"],
  ["float32", "bfloat16"],
  ["bfloat16", "float32"],
  ["float16", "bfloat16"],
] as const)("%s to %s: every number as it is, or rounded to the nearest", async (from, to) => {
  const { checkpoint, createModel } = await openEngine();
  const [source, target] = [createModel("policy.weights", from), createModel("reference.weights", to)];
  await source.load(checkpoint.tensors);
  const receipt = await target.copyFrom(source);
  const bytes = target.tensors().reduce((sum, tensor) => sum + tensor.bytes, 0);
  expect(receipt).toMatchObject({ action: "load", consumer: "reference.weights", method: "copy", bytesCopied: bytes });
  expect(receipt.bytesCommitted).toBe(target.observe().committedBytes);
  const copied = await weightsOf(target);
  for (const [name, given] of await weightsOf(source)) {
    expect(copied.get(name), name).toEqual(encodeFloats(decodeFloats(given, STORED[from]), STORED[to]));
  }
});

test("a policy handed to the engine and back keeps its bits, in one place at a time", async () => {
  const { checkpoint, createModel, engine } = await openEngine();
  const policy = createModel("policy.weights");
  await policy.load(checkpoint.tensors);
  const original = await weightsOf(policy);
  for (let step = 0; step < 3; step++) {
    await engine.swap({ source: { kind: "model", model: policy }, method: "copy", running: "refuse" });
    await policy.release({ mode: "discard" });
    await policy.copyFrom(engine);
    await engine.release("weights", { mode: "discard" });
  }
  expect(await weightsOf(policy)).toEqual(original);
  expect(await failure(() => policy.copyFrom(engine))).toMatchObject({ code: "not_resident" });
  expect(await weightsOf(policy)).toEqual(original);
});

test("from an engine that generates, and from one that reads a third model's bytes", async () => {
  const { checkpoint, createModel, engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
  const [policy, reference] = [createModel("policy.weights"), createModel("reference.weights")];
  await policy.load(checkpoint.tensors);
  const original = await weightsOf(policy);
  await engine.swap({ source: { kind: "model", model: policy }, method: "share", running: "refuse" });
  const undisturbed = await start(engine, longRequests()).done;
  const running = start(engine, longRequests());
  await running.tokens(1);
  await reference.copyFrom(engine);
  expect(await weightsOf(reference)).toEqual(original);
  expect((await running.done).map(({ tokens }) => tokens)).toEqual(undisturbed.map(({ tokens }) => tokens));
});

test("brings a model back that was released, and makes the backup of one that was not an old one", async () => {
  const { checkpoint, createModel } = await openEngine();
  const [policy, reference] = [createModel("policy.weights"), createModel("reference.weights")];
  await policy.load(checkpoint.tensors);
  await reference.load(checkpoint.tensors);
  await reference.release({ mode: "host" });
  await reference.copyFrom(policy);
  expect(reference.observe()).toMatchObject({ residency: "resident", contents: "defined", backup: { clean: false } });
});

test("refused: the same bytes, a model that is read, one of an engine, other shapes, a source without contents", async () => {
  const { checkpoint, createModel, device, engine } = await openEngine();
  const [policy, reference] = [createModel("policy.weights"), createModel("reference.weights")];
  await policy.load(checkpoint.tensors);
  expect(await failure(() => reference.copyFrom(reference))).toMatchObject({ code: "bad_argument", field: "source" });
  const emptySource = await failure(() => policy.copyFrom(reference));
  expect(emptySource).toMatchObject({ code: "not_resident" });
  await reference.resume();
  expect(await failure(() => policy.copyFrom(reference))).toMatchObject({ code: "contents_undefined" });

  const { config } = await openFixture("tiny-qwen3-qknorm");
  const other = addon.createModel(device, { config, dtype: "float32", consumer: "reward.weights" });
  expect(await failure(() => other.copyFrom(policy))).toMatchObject({ code: "weights_mismatch" });
  expect(other.observe().residency).toBe("released");
  await other.close();

  await engine.swap({ source: { kind: "model", model: policy }, method: "share", running: "refuse" });
  await reference.load(checkpoint.tensors);
  expect(await failure(() => policy.copyFrom(reference))).toMatchObject({ code: "shared" });
  expect(await failure(() => policy.copyFrom(engine))).toMatchObject({ code: "bad_argument", field: "source" });
});
