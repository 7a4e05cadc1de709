/** Weights in and out: a written checkpoint is the one that was read, byte for byte, and a failed write leaves nothing. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint, writeCheckpoint } from "../../../electron/session/checkpoint.ts";
import { addon, failure, withFolder } from "../support.ts";
import { FIXTURES, goldenCases, openEngine, openFixture } from "./support.ts";

const DATA_START = (file: Buffer) => 8 + Number(file.readBigUInt64LE(0));

describe.each(FIXTURES)("%s", (fixture) => {
  test("is written back as it was read", async () => {
    await withFolder(async (folder) => {
      const { checkpoint, engine } = await openEngine({ fixture });
      const written = await writeCheckpoint({ folder: join(folder, "copy"), like: checkpoint, weights: engine });
      const [ours, theirs] = await Promise.all(
        [written, checkpoint].map(({ path }) => readFile(join(path, "model.safetensors"))),
      );
      if (ours === undefined || theirs === undefined) throw new Error("nothing was read");
      expect(ours.subarray(DATA_START(ours)).equals(theirs.subarray(DATA_START(theirs)))).toBe(true);
      const names = (tensors: readonly { readonly name: string }[]) => tensors.map(({ name }) => name).sort();
      expect(names(written.tensors)).toEqual(names(checkpoint.tensors));
    });
  });

  test("every tensor is a view of its region with the checkpoint's own bytes", async () => {
    const { checkpoint, engine } = await openEngine({ fixture });
    const views = engine.tensors();
    expect(views).toHaveLength(checkpoint.tensors.length);
    for (const source of checkpoint.tensors) {
      const view = views.find(({ name }) => name === source.name);
      expect(view).toMatchObject({ dtype: source.dtype, shape: [...source.shape], bytes: source.bytes });
      const truth = (await readFile(source.file)).subarray(source.offset, source.offset + source.bytes);
      expect(Buffer.from(await engine.readTensor(source.name)).equals(truth), source.name).toBe(true);
    }
    const weightBytes = addon.weightBytes(checkpoint.config, checkpoint.dtype);
    expect(Math.max(...views.map(({ offset, bytes }) => offset + bytes))).toBeLessThanOrEqual(weightBytes);
  });
});

test("q, k and v, and gate and up, lie one behind the other: the fused layout", async () => {
  const { engine } = await openEngine({ fixture: "tiny-qwen2-tied" });
  const view = (name: string) => {
    const found = engine.tensors().find((tensor) => tensor.name === `model.layers.1.${name}`);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  };
  for (const chain of [
    ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
    ["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"],
    ["mlp.gate_proj.weight", "mlp.up_proj.weight"],
  ]) {
    const views = chain.map(view);
    expect((views[0]?.offset ?? -1) % 256).toBe(0);
    for (const [at, { offset, bytes }] of views.slice(0, -1).entries()) {
      expect(views[at + 1]?.offset).toBe(offset + bytes);
    }
  }
});

test("float32 weights written as bfloat16 are rounded to nearest even", async () => {
  const { checkpoint, engine } = await openEngine({ dtype: "bfloat16" });
  const source = checkpoint.tensors.find(({ name }) => name === "lm_head.weight");
  const truth = await readFile(source?.file ?? "");
  const stored = Buffer.from(await engine.readTensor("lm_head.weight"));
  for (let at = 0; at < stored.length / 2; at += 1) {
    const bits = truth.readUInt32LE((source?.offset ?? 0) + 4 * at);
    const rounded = ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
    expect(stored.readUInt16LE(2 * at)).toBe(rounded);
  }
});

test("a write that fails leaves the old file and no fragment", async () => {
  await withFolder(async (folder) => {
    const { engine } = await openEngine();
    const file = join(folder, "model.safetensors");
    await writeFile(file, "precious");
    expect(await failure(() => engine.save(file, new Uint8Array(8), ["no.such.tensor"]))).toMatchObject({
      code: "not_found",
      tensor: "no.such.tensor",
    });
    const cancellation = addon.createCancellation();
    cancellation.cancel();
    const names = engine.tensors().map(({ name }) => name);
    expect(await failure(() => engine.save(file, new Uint8Array(8), names, { cancellation }))).toMatchObject({
      code: "cancelled",
    });
    expect(await readFile(file, "utf8")).toBe("precious");
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
    expect(await failure(() => engine.save(join(folder, "no/such/folder"), new Uint8Array(8), names))).toMatchObject({
      code: "checkpoint_unwritable",
    });
  });
});

test("a load that was refused leaves a model released, a load that was cancelled too", async () => {
  const { device, createModel } = await openEngine();
  const model = createModel("policy.weights");
  const other = await openFixture("tiny-qwen3-qknorm");
  const committed = device.observe().committedBytes;
  expect(await failure(() => model.load(other.tensors))).toMatchObject({ code: "weights_mismatch" });
  const cancellation = addon.createCancellation();
  cancellation.cancel();
  const { tensors } = await openFixture("tiny-llama-gqa");
  expect(await failure(() => model.load(tensors, { cancellation }))).toMatchObject({ code: "cancelled" });
  expect(model.observe().residency).toBe("released");
  expect(device.observe().committedBytes).toBe(committed);
});

test.each([
  ["heads that kvHeads do not divide", { kvHeads: 3 }, "kvHeads"],
  ["no layers", { layers: 0 }, "layers"],
  ["an odd head", { headDim: 15 }, "headDim"],
  ["a hidden size past reason", { hiddenSize: 2 ** 40 }, "hiddenSize"],
])("a config with %s is refused by name", async (_, change, field) => {
  const checkpoint = await openFixture("tiny-llama-gqa");
  const config = { ...checkpoint.config, ...change };
  expect(await failure(() => addon.weightBytes(config, "float32"))).toMatchObject({
    code: "checkpoint_invalid",
    field,
  });
});

test("the written folder computes what the fixture computes", async () => {
  await withFolder(async (folder) => {
    const { checkpoint, engine } = await openEngine();
    const path = join(folder, "copy");
    await writeCheckpoint({ folder: path, like: checkpoint, weights: engine });
    const { config, tensors } = await openCheckpoint(path);
    await engine.swap({ source: { kind: "checkpoint", config, tensors }, method: "auto", running: "refuse" });
    const [golden] = await goldenCases("tiny-llama-gqa");
    const { lastLogits } = await engine.score(golden?.prompt ?? []);
    for (const [at, truth] of (golden?.last_logits ?? []).entries()) {
      expect(Math.abs((lastLogits[at] ?? Number.NaN) - truth)).toBeLessThan(2e-4);
    }
  });
});
