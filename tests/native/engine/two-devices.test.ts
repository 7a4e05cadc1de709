/**
 * Weights that go from one device to another: byte for byte what a copy on one device gives, by the link between two GPUs
 * where there is one, else through host memory, and the receipt says which. On two GPUs where TIDELINE_DEVICE names one and the
 * machine has them, else over a double of the driver with two cards, which refuses a copy that names the wrong one, and whose
 * memory nobody reaches but the driver's copies.
 */
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { Checkpoint } from "../../../electron/session/checkpoint.ts";
import type { NativeDevice, NativeEngine, NativeModel, NativeWeights, WeightDType } from "../../../native/addon.d.ts";
import {
  ILLEGAL_ADDRESS,
  installCudaDouble,
  NOT_SUPPORTED,
  NOTHING,
  OUT_OF_MEMORY,
} from "../cuda-double/cuda-double.ts";
import { addon, CHUNK_BYTES, failure, HAS_TWO_CARDS, UNTELLABLE } from "../support.ts";
import { openFixture } from "./support.ts";

const double = HAS_TWO_CARDS ? undefined : await installCudaDouble({ guarded: true, devices: 2 });
afterAll(() => {
  if (double === undefined) return;
  // What copies take of the host on their way is given back too.
  const left = double.counts();
  double.remove();
  expect(left).toEqual(NOTHING);
});
beforeEach(() => double?.linkPeers(true));
afterEach(() => {
  double?.disarm();
});

type DeviceName = "host" | "cuda:0" | "cuda:1";

const FIXTURE = "tiny-llama-gqa";

/** Devices that are closed, with the models on them, when the test is over. */
function devices({ config }: Checkpoint) {
  const open = new Map<DeviceName, NativeDevice>();
  const closing: { close(): Promise<void> }[] = [];
  onTestFinished(async () => {
    for (const one of closing.reverse()) await one.close();
    for (const device of open.values()) await device.close();
  });
  const deviceOf = (name: DeviceName): NativeDevice => {
    const device = open.get(name) ?? addon.openDevice({ name, capacityBytes: 128 * MIB, chunkBytes: CHUNK_BYTES });
    open.set(name, device);
    return device;
  };
  const model = (name: DeviceName, dtype: WeightDType, consumer = `weights on ${name}`): NativeModel => {
    const made = addon.createModel(deviceOf(name), { config, dtype, consumer });
    closing.push(made);
    return made;
  };
  return {
    deviceOf,
    model,
    engine(name: DeviceName, dtype: WeightDType): NativeEngine {
      const own = addon.createModel(deviceOf(name), { config, dtype, consumer: "engine.weights" });
      const engine = addon.createEngine(deviceOf(name), own, { kvCacheBytes: MIB });
      closing.push(engine);
      return engine;
    },
  };
}

async function hashOf(weights: NativeWeights): Promise<string> {
  const hash = createHash("sha256");
  for (const { name } of weights.tensors()) hash.update(await weights.readTensor(name));
  return hash.digest("hex");
}

/** What the same copy on the host gives. */
async function hashOnHost(checkpoint: Checkpoint, from: WeightDType, to: WeightDType): Promise<string> {
  const { model } = devices(checkpoint);
  const [source, target] = [model("host", from), model("host", to)];
  await source.load(checkpoint.tensors);
  await target.copyFrom(source);
  return hashOf(target);
}

describe("a model copied to another device has the bytes of a copy on one", () => {
  const ROUTES = [
    ["cuda:0", "cuda:1", "bfloat16", "bfloat16", true, "peer"],
    ["cuda:1", "cuda:0", "float32", "float32", true, "peer"],
    ["cuda:0", "cuda:1", "bfloat16", "bfloat16", false, "staged"],
    // The processor casts.
    ["cuda:0", "cuda:1", "float32", "bfloat16", true, "staged"],
    ["cuda:0", "cuda:1", "float32", "int8", false, "staged"],
    ["host", "cuda:1", "bfloat16", "bfloat16", true, "copy"],
    ["cuda:0", "host", "bfloat16", "bfloat16", true, "copy"],
    ["host", "cuda:0", "float32", "bfloat16", true, "copy"],
    ["cuda:0", "cuda:0", "bfloat16", "bfloat16", true, "copy"],
  ] as const;
  // Two GPUs have a link or have none.
  const routes = ROUTES.filter(([, , , , linked]) => double !== undefined || linked);

  test.each(routes)("%s to %s, %s to %s, with a link %s: %s", async (from, to, fromDtype, toDtype, linked, method) => {
    double?.linkPeers(linked);
    const checkpoint = await openFixture(FIXTURE);
    const { model } = devices(checkpoint);
    const [source, target] = [model(from, fromDtype), model(to, toDtype)];
    await source.load(checkpoint.tensors);
    double?.arm({ call: "cuMemcpyPeerAsync", nth: 1000, result: OUT_OF_MEMORY });
    const receipt = await target.copyFrom(source);
    if (double !== undefined) {
      expect(double.calls() > 0, "the driver copies from card to card").toBe(method === "peer");
      expect(double.unadmittedCopies(), "what a card copies it is let into").toBe(0);
    }
    const taken = double === undefined && method === "peer" ? expect.stringMatching(/^(peer|staged)$/) : method;
    expect(receipt).toMatchObject({ action: "load", method: taken, bytesCommitted: target.observe().committedBytes });
    expect(await hashOf(target)).toBe(await hashOnHost(checkpoint, fromDtype, toDtype));
  });
});

describe.skipIf(double === undefined)(`the memory of a card that another one copies${UNTELLABLE}`, () => {
  test("is let be used by it again after it was given up and taken again, and asked for once until then", async () => {
    const checkpoint = await openFixture(FIXTURE);
    const { model } = devices(checkpoint);
    const [source, target] = [model("cuda:0", "bfloat16"), model("cuda:1", "bfloat16")];
    await source.load(checkpoint.tensors);
    for (const copies of [1, 2]) {
      await target.copyFrom(source);
      double?.arm({ call: "cuMemSetAccess", nth: 1000, result: OUT_OF_MEMORY });
      await target.copyFrom(source);
      expect(double?.calls(), "nobody is let in twice").toBe(0);
      if (copies === 2) break;
      await source.release({ mode: "host" });
      await source.resume();
    }
    expect(double?.unadmittedCopies()).toBe(0);
    expect(await hashOf(target)).toBe(await hashOf(source));
  });

  test("goes through the host where that may not be", async () => {
    const checkpoint = await openFixture(FIXTURE);
    const { model } = devices(checkpoint);
    const [source, target] = [model("cuda:0", "bfloat16"), model("cuda:1", "bfloat16")];
    await source.load(checkpoint.tensors);
    await target.resume();
    double?.arm({ call: "cuMemSetAccess", nth: 1, result: NOT_SUPPORTED });
    expect(await target.copyFrom(source)).toMatchObject({ method: "staged" });
    expect(double?.disarm()).toBe(true);
    expect(await hashOf(target)).toBe(await hashOf(source));
    expect(await target.copyFrom(source)).toMatchObject({ method: "peer" });
  });
});

describe("an engine's weights", () => {
  test("are swapped from another device and handed back, by copy and through buckets", async () => {
    const checkpoint = await openFixture(FIXTURE);
    const { model, engine } = devices(checkpoint);
    const [policy, own] = [model("cuda:0", "bfloat16", "policy.weights"), engine("host", "bfloat16")];
    await policy.load(checkpoint.tensors);
    const original = await hashOf(policy);
    for (const [asked, done] of [
      ["copy", "copy"],
      // Where the bytes cannot be read in place.
      ["auto", "copy"],
      ["bucketed", "bucketed"],
    ] as const) {
      await own.release("weights", { mode: "discard" }).catch(() => undefined);
      const source = { kind: "model", model: policy } as const;
      const receipt = await own.swap({ source, method: asked, bucketBytes: 8192, running: "refuse" });
      expect(receipt).toMatchObject({ action: "swap", consumer: "engine.weights", method: done });
      expect(await hashOf(own)).toBe(original);
    }
    await policy.release({ mode: "discard" });
    await policy.copyFrom(own);
    expect(await hashOf(policy)).toBe(original);
  });

  test("cannot be those of another device without a copy, and the refusal says what to do", async () => {
    const checkpoint = await openFixture(FIXTURE);
    const { model, engine } = devices(checkpoint);
    const [policy, own] = [model("cuda:1", "bfloat16", "policy.weights"), engine("host", "bfloat16")];
    await policy.load(checkpoint.tensors);
    const source = { kind: "model", model: policy } as const;
    expect(await failure(() => own.swap({ source, method: "share", running: "refuse" }))).toMatchObject({
      code: "unsupported",
      field: "source",
      message: "policy.weights is on cuda:1 and the engine on host: memory of another device cannot be read in place",
      hint: "swap by copy, or put both on one device",
    });
  });
});

describe.skipIf(double === undefined)(`a copy between two devices that fails${UNTELLABLE}`, () => {
  const CALLS = [
    ["cuCtxEnablePeerAccess", true],
    ["cuMemcpyPeerAsync", true],
    ["cuMemHostRegister", false],
    ["cuMemcpyDtoHAsync", false],
    ["cuMemcpyHtoDAsync", false],
  ] as const;

  test.each(CALLS)("at %s leaves the target released, and the next one is whole", async (call, linked) => {
    double?.linkPeers(linked);
    const checkpoint = await openFixture(FIXTURE);
    const { model } = devices(checkpoint);
    const [source, target] = [model("cuda:0", "bfloat16"), model("cuda:1", "bfloat16")];
    await source.load(checkpoint.tensors);
    double?.arm({ call, nth: 1, result: OUT_OF_MEMORY });
    expect(await failure(() => target.copyFrom(source))).toMatchObject({ code: "out_of_memory" });
    expect(double?.disarm()).toBe(true);
    expect(target.observe()).toMatchObject({ residency: "released", committedBytes: 0 });
    await target.copyFrom(source);
    expect(await hashOf(target)).toBe(await hashOf(source));
  });

  test.each([
    ["cuda:0", "cuda:1"],
    ["cuda:1", "cuda:0"],
  ] as const)("because %s is lost: that one is named, and %s goes on", async (lost, whole) => {
    const checkpoint = await openFixture(FIXTURE);
    const { deviceOf, model } = devices(checkpoint);
    const [source, target] = [model(lost, "bfloat16"), model(whole, "bfloat16")];
    await target.load(checkpoint.tensors);
    await source.load(checkpoint.tensors);
    const before = await hashOf(target);
    double?.arm({ call: "cuMemcpyDtoHAsync", nth: 1, result: ILLEGAL_ADDRESS, sticky: true });
    const refused = {
      code: "device_lost",
      message: expect.stringMatching(`^${lost} stopped answering, .*illegal memory access`),
      hint: expect.stringContaining(`choose ${lost} again, or another device`),
    };
    expect(await failure(() => hashOf(source))).toMatchObject(refused);
    expect(deviceOf(lost).observe().lost).toMatch(lost);
    const other = model(whole, "bfloat16");
    expect(await failure(() => other.copyFrom(source))).toMatchObject(refused);
    expect(deviceOf(whole).observe().lost).toBeUndefined();
    await other.copyFrom(target);
    expect(await hashOf(other)).toBe(before);
  });
});

test("each card has its own memory: one that is full says so, and the other has room", async () => {
  const checkpoint = await openFixture(FIXTURE);
  const { deviceOf } = devices(checkpoint);
  const [first, second] = [deviceOf("cuda:0"), deviceOf("cuda:1")];
  const region = (device: NativeDevice, consumer: string) =>
    device.createRegion({ consumer, tag: "weights", bytes: 96 * MIB });
  const [policy, reference, engine] = [
    region(first, "policy.weights"),
    region(first, "reference.weights"),
    region(second, "engine.weights"),
  ];
  await policy.resume();
  await engine.resume();
  expect(await failure(() => reference.resume())).toMatchObject({
    code: "out_of_memory",
    holders: [{ consumer: "policy.weights", bytes: 96 * MIB }],
  });
  expect(first.observe().committedBytes).toBe(96 * MIB);
  expect(second.holders()).toEqual([{ consumer: "engine.weights", bytes: 96 * MIB }]);
  for (const open of [policy, reference, engine]) await open.close();
});
