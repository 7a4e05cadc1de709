/** Hot swap: from a model in memory (shared or copied) and from disk, there and back, and everything it refuses. */
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { Checkpoint } from "../../../electron/session/checkpoint.ts";
import type { NativeDevice, NativeEngine, SwapOptions, SwapSource } from "../../../native/addon.d.ts";
import { addon, CHUNK_BYTES, failure, withFolder } from "../support.ts";
import {
  configOfGolden,
  LONG_KV_BYTES,
  longRequests,
  negatedCheckpoint,
  type Opened,
  openEngine,
  openFixture,
  request,
  start,
} from "./support.ts";

const PROMPT = [17, 4, 99, 23];

/** The engine on the fixture, and the same model with all logits negated, on disk and in memory. */
async function withTwoModels(
  use: (two: Opened & { readonly negated: Checkpoint; readonly folder: string }) => Promise<void>,
  options: Parameters<typeof openEngine>[0] = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const opened = await openEngine(options);
    await use({ ...opened, folder, negated: await negatedCheckpoint(opened.checkpoint, folder) });
  });
}

const onDisk = ({ config, tensors }: Checkpoint): SwapSource => ({ kind: "checkpoint", config, tensors });

function swap(engine: NativeEngine, source: SwapSource, rest: Partial<SwapOptions> = {}) {
  return engine.swap({ source, method: "auto", running: "refuse", ...rest });
}

const logits = async (engine: NativeEngine) => Array.from((await engine.score(PROMPT)).lastLogits);
const negative = (values: readonly number[]) => values.map((value) => -value);

function weightsOf(device: NativeDevice) {
  const found = device.observe().regions.find(({ consumer }) => consumer === "engine.weights");
  if (found === undefined) throw new Error("the engine has no weights");
  return found;
}

describe("there and back", () => {
  test.each(["share", "copy", "bucketed", "disk"] as const)("by %s", async (method) => {
    await withTwoModels(async ({ checkpoint, engine, createModel, negated, device }) => {
      const [policy, reference] = [createModel("policy.weights"), createModel("reference.weights")];
      await policy.load(negated.tensors);
      await reference.load(checkpoint.tensors);
      const original = await logits(engine);
      // Smaller than most tensors, and no multiple of their rows.
      const options = method === "disk" ? {} : { method, bucketBytes: 5001 };

      const there = await swap(engine, method === "disk" ? onDisk(negated) : { kind: "model", model: policy }, options);
      expect(there).toMatchObject({ action: "swap", consumer: "engine.weights", method });
      expect(await logits(engine)).toEqual(negative(original));

      const back = await swap(
        engine,
        method === "disk" ? onDisk(checkpoint) : { kind: "model", model: reference },
        options,
      );
      expect(back).toMatchObject({ action: "swap", method });
      expect(await logits(engine)).toEqual(original);
      expect(engine.observe().weightsVersion).toBe(3);
      expect(weightsOf(device).residency).toBe(method === "share" ? "shared" : "resident");
    });
  });
});

describe("sharing", () => {
  test("copies nothing, gives the engine's own weights back, and protects the source", async () => {
    await withTwoModels(async ({ checkpoint, engine, createModel, negated, device }) => {
      const policy = createModel("policy.weights");
      await policy.load(negated.tensors);
      const original = await logits(engine);
      const committed = weightsOf(device).committedBytes;

      expect(await swap(engine, { kind: "model", model: policy })).toMatchObject({
        method: "share",
        bytesCopied: 0,
        bytesFreed: committed,
      });
      expect(weightsOf(device)).toMatchObject({
        residency: "shared",
        sharedWith: "policy.weights",
        committedBytes: 0,
      });
      expect(await logits(engine)).toEqual(negative(original));
      expect(await failure(() => policy.release({ mode: "host" }))).toMatchObject({ code: "shared" });
      expect(await failure(() => policy.close())).toMatchObject({ code: "shared" });
      expect(await failure(() => policy.load(checkpoint.tensors))).toMatchObject({ code: "shared" });
      expect(await failure(() => engine.release("weights", { mode: "discard" }))).toMatchObject({ code: "shared" });
      expect(await failure(() => engine.resume("weights"))).toMatchObject({ code: "shared" });

      // A copy of the very bytes it shares makes it independent.
      expect(await swap(engine, { kind: "model", model: policy }, { method: "copy" })).toMatchObject({
        method: "copy",
        bytesCommitted: committed,
      });
      expect(weightsOf(device)).toMatchObject({ residency: "resident", contents: "defined" });
      await policy.release({ mode: "discard" });
      expect(await logits(engine)).toEqual(negative(original));
    });
  });

  test("ends when the engine closes", async () => {
    await withTwoModels(async ({ engine, createModel, negated }) => {
      const policy = createModel("policy.weights");
      await policy.load(negated.tensors);
      await swap(engine, { kind: "model", model: policy });
      await engine.close();
      expect(await policy.release({ mode: "discard" })).toMatchObject({ action: "release" });
    });
  });

  test("needs the same bytes: another dtype is copied and cast, or refused when sharing was asked for", async () => {
    await withTwoModels(async ({ engine, createModel, negated }) => {
      const policy = createModel("policy.weights", "bfloat16");
      await policy.load(negated.tensors);
      const original = await logits(engine);
      const refused = await failure(() => swap(engine, { kind: "model", model: policy }, { method: "share" }));
      expect(refused).toMatchObject({ code: "weights_mismatch", field: "dtype" });
      expect(await logits(engine)).toEqual(original);
      expect(await swap(engine, { kind: "model", model: policy })).toMatchObject({ method: "copy" });
      const cast = await logits(engine);
      expect(cast).not.toEqual(negative(original));
      for (const [at, value] of cast.entries()) expect(Math.abs(value + (original[at] ?? 0))).toBeLessThan(0.1);
    });
  });
});

describe("through a bucket", () => {
  /** Two of the host's smallest chunks, one of a GPU's. */
  const bucketBytes = 100_000;

  test("casts on the way, and counts the bytes in and out of the bucket", async () => {
    await withTwoModels(async ({ engine, createModel, negated }) => {
      const policy = createModel("policy.weights", "bfloat16");
      await policy.load(negated.tensors);
      await swap(engine, { kind: "model", model: policy }, { method: "copy" });
      const copied = await logits(engine);
      await swap(engine, onDisk(negated));

      const receipt = await swap(engine, { kind: "model", model: policy }, { method: "bucketed", bucketBytes });
      // Into the bucket as bfloat16, out of it as the engine's float32.
      const bytes = engine.tensors().reduce((sum, tensor) => sum + tensor.bytes, 0);
      expect(receipt).toMatchObject({ method: "bucketed", bytesCopied: bytes / 2 + bytes });
      expect(await logits(engine)).toEqual(copied);
    });
  });

  test("the bucket takes memory beside the two models for the length of the swap, and the receipt counts it", async () => {
    await withTwoModels(
      async ({ engine, createModel, negated, device }) => {
        const policy = createModel("policy.weights");
        await policy.load(negated.tensors);
        const original = await logits(engine);
        const { committedBytes, chunkBytes } = device.observe();
        const neededBytes = Math.ceil(bucketBytes / chunkBytes) * chunkBytes;
        const throughBucket = () => swap(engine, { kind: "model", model: policy }, { method: "bucketed", bucketBytes });

        device.setCapacity(committedBytes + neededBytes - chunkBytes);
        expect(await failure(throughBucket)).toMatchObject({
          code: "out_of_memory",
          requestedBytes: neededBytes,
          freeBytes: neededBytes - chunkBytes,
        });
        expect(await logits(engine)).toEqual(original);

        device.setCapacity(committedBytes + neededBytes);
        expect(await throughBucket()).toMatchObject({
          bytesCommitted: neededBytes,
          bytesFreed: neededBytes,
          bytesRetained: 0,
        });
        expect(await logits(engine)).toEqual(negative(original));
        expect(device.observe()).toMatchObject({ committedBytes, heldBytes: 0 });
      },
      { chunkBytes: 64 * 1024 },
    );
  });

  test("with too small a one, or from disk: refused, and nothing has changed", async () => {
    await withTwoModels(async ({ engine, createModel, negated, device }) => {
      const policy = createModel("policy.weights");
      await policy.load(negated.tensors);
      const original = await logits(engine);
      const source: SwapSource = { kind: "model", model: policy };
      const { committedBytes } = device.observe();
      expect(await failure(() => swap(engine, source, { method: "bucketed", bucketBytes: 100 }))).toMatchObject({
        code: "bad_argument",
        field: "bucketBytes",
      });
      expect(await failure(() => swap(engine, onDisk(negated), { method: "bucketed" }))).toMatchObject({
        code: "bad_argument",
        field: "method",
      });
      expect(await logits(engine)).toEqual(original);
      expect(device.observe().committedBytes).toBe(committedBytes);
    });
  });
});

describe("while requests run", () => {
  test("refuse: nothing changes", async () => {
    await withTwoModels(
      async ({ engine, negated }) => {
        const running = start(engine, longRequests());
        expect(await failure(() => swap(engine, onDisk(negated)))).toMatchObject({ code: "busy" });
        expect((await running.done).every(({ finished }) => finished?.reason === "length")).toBe(true);
        expect(engine.observe().weightsVersion).toBe(1);
      },
      { kvCacheBytes: LONG_KV_BYTES },
    );
  });

  test("finish: what was asked for before the swap is all old, what comes after all new", async () => {
    await withTwoModels(
      async ({ engine, negated }) => {
        const alone = (await start(engine, longRequests()).done).map(({ tokens }) => tokens);
        const [probe] = await start(engine, [request(PROMPT)]).done;

        const running = start(engine, longRequests());
        await running.tokens(50);
        const swapped = swap(engine, onDisk(negated), { running: "finish" });
        while (engine.observe().status !== "swapping") await new Promise((resolve) => setTimeout(resolve, 1));
        const after = start(engine, [request(PROMPT)]);
        expect(running.outputs.some(({ finished }) => finished === undefined)).toBe(true);
        expect((await running.done).map(({ tokens }) => tokens)).toEqual(alone);
        await swapped;
        const [output] = await after.done;
        expect(output?.tokens).not.toEqual(probe?.tokens);
        expect(output?.tokens).toEqual((await start(engine, [request(PROMPT)]).done)[0]?.tokens);
      },
      // Some of the 48 wait, and there is room beside them for one that came too late.
      { kvCacheBytes: LONG_KV_BYTES, maxBatch: 40 },
    );
  });

  test("finish, cancelled while it waits: the requests go on and the weights stay", async () => {
    await withTwoModels(
      async ({ engine, negated }) => {
        const cancellation = addon.createCancellation();
        const running = start(engine, longRequests());
        await running.tokens(10);
        const swapped = failure(() => swap(engine, onDisk(negated), { running: "finish", cancellation }));
        cancellation.cancel();
        expect(await swapped).toMatchObject({ code: "cancelled" });
        expect((await running.done).every(({ finished }) => finished?.reason === "length")).toBe(true);
        expect(engine.observe()).toMatchObject({ status: "idle", weightsVersion: 1 });
      },
      { kvCacheBytes: LONG_KV_BYTES },
    );
  });

  test("cancel: they are cancelled first", async () => {
    await withTwoModels(
      async ({ engine, negated }) => {
        const original = await logits(engine);
        const running = start(engine, longRequests());
        await running.tokens(50);
        await swap(engine, onDisk(negated), { running: "cancel" });
        expect((await running.done).some(({ finished }) => finished?.reason === "cancelled")).toBe(true);
        expect(await logits(engine)).toEqual(negative(original));
      },
      { kvCacheBytes: LONG_KV_BYTES },
    );
  });

  test("paused in place it is refused; retracted requests go on with the new weights", async () => {
    await withTwoModels(
      async ({ engine, negated }) => {
        const running = start(engine, longRequests());
        await running.tokens(50);
        await engine.pause("in_place");
        for (const how of ["refuse", "finish"] as const) {
          expect(await failure(() => swap(engine, onDisk(negated), { running: how }))).toMatchObject({ code: "busy" });
        }
        await engine.pause("retract");
        await swap(engine, onDisk(negated));
        await engine.continue();
        expect((await running.done).every(({ finished }) => finished?.reason === "length")).toBe(true);
      },
      { kvCacheBytes: LONG_KV_BYTES },
    );
  });
});

describe("refused, and nothing changes", () => {
  async function expectRefused(opened: Opened, source: SwapSource, expected: object): Promise<void> {
    const before = { logits: await logits(opened.engine), device: opened.device.observe().committedBytes };
    for (const running of ["refuse", "finish", "cancel"] as const) {
      expect(await failure(() => swap(opened.engine, source, { running }))).toMatchObject(expected);
    }
    expect(opened.engine.observe()).toMatchObject({ status: "idle", weightsVersion: 1 });
    expect(await logits(opened.engine)).toEqual(before.logits);
    expect(opened.device.observe().committedBytes).toBe(before.device);
  }

  test("a model of another shape names the tensor", async () => {
    const opened = await openEngine();
    await expectRefused(opened, onDisk(await openFixture("tiny-qwen3-qknorm")), {
      code: "weights_mismatch",
      tensor: expect.stringMatching(/./),
    });
  });

  const damages: readonly (readonly [string, string, object])[] = [
    ["a missing tensor", "gone", { code: "weights_mismatch", tensor: "model.norm.weight" }],
    ["a tensor of integers", "I64", { code: "weights_mismatch", tensor: "model.norm.weight" }],
    ["another shape", "shape", { code: "weights_mismatch", tensor: "model.norm.weight" }],
    ["bytes that do not follow from the shape", "bytes", { code: "checkpoint_invalid" }],
    ["an offset outside of the file", "offset", { code: "checkpoint_invalid", tensor: "model.norm.weight" }],
    ["a tensor twice", "twice", { code: "checkpoint_invalid", tensor: "model.norm.weight" }],
    ["a file that is not there", "file", { code: "checkpoint_unreadable" }],
  ];
  test.each(damages)("%s", async (_, kind, expected) => {
    const opened = await openEngine();
    const { config, tensors } = opened.checkpoint;
    const name = "model.norm.weight";
    const damaged = tensors.flatMap((tensor) => {
      if (tensor.name !== name) return [tensor];
      switch (kind) {
        case "gone":
          return [];
        case "I64":
          return [{ ...tensor, dtype: "I64" }];
        case "shape":
          return [{ ...tensor, shape: [...tensor.shape, 1] }];
        case "bytes":
          return [{ ...tensor, bytes: tensor.bytes - 4 }];
        case "offset":
          return [{ ...tensor, offset: Number.MAX_SAFE_INTEGER - 8 }];
        case "file":
          return [{ ...tensor, file: `${tensor.file}.missing` }];
        default:
          return [tensor, tensor];
      }
    });
    await expectRefused(opened, { kind: "checkpoint", config, tensors: damaged }, expected);
  });

  test("a file that was cut off after its header was read", async () => {
    await withTwoModels(async ({ negated, folder, ...opened }) => {
      await truncate(join(folder, "model.safetensors"), 4096);
      await expectRefused(opened, onDisk(negated), { code: "checkpoint_invalid" });
    });
  });

  test("equal shapes with another rope name the field", async () => {
    const opened = await openEngine();
    const { config, tensors } = opened.checkpoint;
    const other = { ...config, rope: { type: "default", theta: 5e5 } } as const;
    await expectRefused(
      opened,
      { kind: "checkpoint", config: other, tensors },
      { code: "weights_mismatch", field: "rope" },
    );
  });

  test("a source that is released or was never loaded", async () => {
    const opened = await openEngine();
    const policy = opened.createModel("policy.weights");
    await expectRefused(opened, { kind: "model", model: policy }, { code: "not_resident" });
    await policy.resume();
    const resident = opened.device.observe().committedBytes;
    expect(await failure(() => swap(opened.engine, { kind: "model", model: policy }))).toMatchObject({
      code: "contents_undefined",
    });
    expect(opened.device.observe().committedBytes).toBe(resident);
  });

  test("no room to take the weights back: out_of_memory says who holds what, and sharing goes on", async () => {
    const { checkpoint, device, engine, createModel } = await openEngine({
      capacityBytes: 64 * MIB,
      chunkBytes: CHUNK_BYTES,
    });
    const policy = createModel("policy.weights");
    await policy.load(checkpoint.tensors);
    await swap(engine, { kind: "model", model: policy }, { method: "share" });
    const before = await logits(engine);
    device.setCapacity(device.observe().committedBytes);
    const refused = await failure(() => swap(engine, { kind: "model", model: policy }, { method: "copy" }));
    expect(refused).toMatchObject({ code: "out_of_memory" });
    expect(refused.holders).toContainEqual(expect.objectContaining({ consumer: "policy.weights" }));
    expect(weightsOf(device).residency).toBe("shared");
    expect(await logits(engine)).toEqual(before);
  });
});

test("the golden's config swaps with itself: rounded frequencies are part of the arithmetic", async () => {
  const { checkpoint, engine } = await openEngine({ fixture: "tiny-qwen2-tied" });
  const { tensors } = checkpoint;
  expect(await swap(engine, { kind: "checkpoint", config: configOfGolden(checkpoint), tensors })).toMatchObject({
    method: "disk",
  });
  expect(await failure(() => swap(engine, onDisk(checkpoint)))).toMatchObject({ field: "rope" });
});
