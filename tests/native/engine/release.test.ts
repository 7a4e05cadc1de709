/** Releasing and resuming an idle engine's memory: the same answers afterwards, and typed refusals in between. */
import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { ReleaseMode } from "../../../native/addon.d.ts";
import { failure, withFolder } from "../support.ts";
import { generateOne, LONG_KV_BYTES, longRequests, openEngine, request, start } from "./support.ts";

const ONE = request([7, 8, 9], 30, { temperature: 1, seed: 5 });
const TAGS = ["weights", "kv_cache", "workspace"] as const;

test.each<ReleaseMode>(["host", "disk"])("weights come back from %s and the answers are the same", async (mode) => {
  await withFolder(async (directory) => {
    const { device, engine } = await openEngine();
    const before = await generateOne(engine, ONE);
    const committed = device.observe().committedBytes;

    const receipt = await engine.release("weights", { mode, directory });
    expect(receipt).toMatchObject({ action: "release", consumer: "engine.weights", method: mode });
    expect(receipt.bytesFreed).toBe(committed - device.observe().committedBytes);
    expect(receipt.bytesCopied).toBeGreaterThan(0);
    expect(await failure(() => engine.generate([ONE], () => {}))).toMatchObject({ code: "not_resident" });
    expect(await failure(() => engine.score([1]))).toMatchObject({ code: "not_resident" });

    expect(await engine.resume("weights")).toMatchObject({ action: "resume", method: mode });
    const after = await generateOne(engine, ONE);
    expect({ tokens: after.tokens, logprobs: after.logprobs }).toEqual({
      tokens: before.tokens,
      logprobs: before.logprobs,
    });

    expect(await engine.release("weights", { mode: "clean" })).toMatchObject({ method: "clean", bytesCopied: 0 });
    await engine.resume("weights");
    expect((await generateOne(engine, ONE)).tokens).toEqual(before.tokens);
  });
});

test("discarded weights are undefined until they are loaded again", async () => {
  const { checkpoint, engine } = await openEngine();
  const before = await generateOne(engine, ONE);
  await engine.release("weights", { mode: "discard" });
  await engine.resume("weights");
  const refused = await failure(() => engine.generate([ONE], () => {}));
  expect(refused).toMatchObject({ code: "contents_undefined" });
  expect(refused.hint).toMatch(/swap/);
  expect(await failure(() => engine.readTensor("model.norm.weight"))).toMatchObject({ code: "contents_undefined" });

  const { config, tensors } = checkpoint;
  await engine.swap({ source: { kind: "checkpoint", config, tensors }, method: "auto", running: "refuse" });
  expect((await generateOne(engine, ONE)).tokens).toEqual(before.tokens);
});

test.each(["kv_cache", "workspace"] as const)("an idle engine gives up its %s and takes it back", async (tag) => {
  const { engine } = await openEngine();
  const before = await generateOne(engine, ONE);
  await engine.release(tag, { mode: "discard" });
  const refused = await failure(() => engine.generate([ONE], () => {}));
  expect(refused).toMatchObject({ code: "not_resident" });
  expect(refused.hint).toMatch(/resume/);
  await engine.resume(tag);
  expect((await generateOne(engine, ONE)).tokens).toEqual(before.tokens);
});

test("the KV cache's used bytes follow its live blocks", async () => {
  const { device, engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
  const used = () => device.observe().regions.find(({ tag }) => tag === "kv_cache")?.usedBytes;
  const running = start(engine, longRequests());
  await running.tokens(10);
  await engine.pause("in_place");
  const { usedBlocks, blockTokens, bytesPerToken } = engine.observe().kv;
  expect(usedBlocks).toBeGreaterThan(0);
  expect(used()).toBe(usedBlocks * blockTokens * bytesPerToken);
  await engine.pause("abort");
  expect(used()).toBe(0);
});

test("nothing is released while requests run", async () => {
  const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
  const running = start(engine, longRequests());
  for (const tag of TAGS) {
    expect(await failure(() => engine.release(tag, { mode: "host" }))).toMatchObject({ code: "busy" });
  }
  expect((await running.done).every(({ finished }) => finished?.reason === "length")).toBe(true);
});

test("releasing twice and resuming what is resident are refused and change nothing", async () => {
  const { device, engine } = await openEngine();
  for (const tag of TAGS) {
    expect(await failure(() => engine.resume(tag))).toMatchObject({ code: "already_resident" });
    await engine.release(tag, { mode: "discard" });
    expect(await failure(() => engine.release(tag, { mode: "discard" }))).toMatchObject({ code: "already_released" });
  }
  expect(device.observe().committedBytes).toBe(0);
});

test("a lost backup leaves the weights released, and a swap from the checkpoint is the way out", async () => {
  await withFolder(async (directory) => {
    const { checkpoint, device, engine } = await openEngine();
    const before = await generateOne(engine, ONE);
    await engine.release("weights", { mode: "disk", directory });
    const backup = device.observe().regions.find(({ consumer }) => consumer === "engine.weights")?.backup;
    await writeFile(backup?.file ?? "", "not the weights");
    expect((await failure(() => engine.resume("weights"))).code).toMatch(/^backup_/);
    expect(await failure(() => engine.generate([ONE], () => {}))).toMatchObject({ code: "not_resident" });
    const { config, tensors } = checkpoint;
    await engine.swap({ source: { kind: "checkpoint", config, tensors }, method: "copy", running: "refuse" });
    expect((await generateOne(engine, ONE)).tokens).toEqual(before.tokens);
  });
});

test("a model handed to an engine is the engine's alone", async () => {
  const { checkpoint, device, createModel } = await openEngine();
  const model = createModel("policy.weights");
  await model.load(checkpoint.tensors);
  expect(model.observe()).toMatchObject({ residency: "resident", contents: "defined" });
  await model.release({ mode: "discard" });
  expect(model.observe()).toMatchObject({ residency: "released", contents: "undefined" });
  expect(device.observe().regions.map(({ consumer }) => consumer)).toContain("policy.weights");
});
