/**
 * A model on a GPU holds, byte for byte, what the same model on the host does, however its weights came there. Over a
 * double of the driver whose device memory nobody reaches but its own copies: a processor that looked behind an address
 * of the device would end these tests.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, onTestFinished, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { Checkpoint } from "../../../electron/session/checkpoint.ts";
import type { NativeModel, WeightDType } from "../../../native/addon.d.ts";
import { installCudaDouble, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { addon, CHUNK_BYTES, failure, withFolder } from "../support.ts";
import { openFixture } from "./support.ts";

const double = await installCudaDouble({ guarded: true });
afterAll(() => double.remove());
afterEach(() => {
  double.disarm();
});

type MakeModel = (dtype: WeightDType) => NativeModel;

/** Makes models of a checkpoint on one device; all are closed when the test is over. */
function modelsOn(name: string, { config }: Checkpoint): MakeModel {
  const device = addon.openDevice({ name, capacityBytes: 128 * MIB, chunkBytes: CHUNK_BYTES });
  const models: NativeModel[] = [];
  onTestFinished(async () => {
    for (const model of models) await model.close();
    await device.close();
  });
  return (dtype) => {
    const model = addon.createModel(device, { config, dtype, consumer: `weights.${models.length}` });
    models.push(model);
    return model;
  };
}

/** Of every tensor, a hash of its bytes. */
async function weightsOf(model: NativeModel): Promise<ReadonlyMap<string, string>> {
  const weights = new Map<string, string>();
  for (const { name } of model.tensors()) {
    weights.set(
      name,
      createHash("sha256")
        .update(await model.readTensor(name))
        .digest("hex"),
    );
  }
  return weights;
}

/** The same done on both devices gives the same bytes. */
async function expectSame(checkpoint: Checkpoint, make: (makeModel: MakeModel) => Promise<NativeModel>): Promise<void> {
  const [onHost, onGpu] = [await make(modelsOn("host", checkpoint)), await make(modelsOn("cuda:0", checkpoint))];
  expect(await weightsOf(onGpu)).toEqual(await weightsOf(onHost));
}

describe.each(["tiny-llama-gqa", "tiny-qwen2-tied"] as const)("%s", (fixture) => {
  test.each(["float32", "float16", "bfloat16", "int8"] as const)("loaded as %s", async (dtype) => {
    const checkpoint = await openFixture(fixture);
    await expectSame(checkpoint, async (makeModel) => {
      const model = makeModel(dtype);
      await model.load(checkpoint.tensors);
      return model;
    });
  });

  test.each([
    ["bfloat16", "bfloat16"],
    ["float32", "bfloat16"],
    ["bfloat16", "float32"],
    ["float32", "int8"],
    ["int8", "int8"],
  ] as const)("copied from %s to %s", async (from, to) => {
    const checkpoint = await openFixture(fixture);
    await expectSame(checkpoint, async (makeModel) => {
      const [source, target] = [makeModel(from), makeModel(to)];
      await source.load(checkpoint.tensors);
      await target.copyFrom(source);
      return target;
    });
  });

  test.each(["host", "disk"] as const)("brought back from a backup on the %s", async (mode) => {
    const checkpoint = await openFixture(fixture);
    await withFolder((directory) =>
      expectSame(checkpoint, async (makeModel) => {
        const model = makeModel("bfloat16");
        await model.load(checkpoint.tensors);
        await model.release({ mode, directory });
        await model.resume();
        return model;
      }),
    );
  });
});

test("saves the bytes of its tensors back to back", async () => {
  const checkpoint = await openFixture("tiny-qwen3-qknorm");
  const model = modelsOn("cuda:0", checkpoint)("float32");
  await model.load(checkpoint.tensors);
  const names = model.tensors().map(({ name }) => name);
  const weights = await Promise.all(names.map((name) => model.readTensor(name)));
  await withFolder(async (folder) => {
    const file = join(folder, "model.safetensors");
    await model.save(file, new Uint8Array([1, 2, 3]), names);
    const expected = Buffer.concat([Buffer.from([1, 2, 3]), ...weights]);
    expect((await readFile(file)).equals(expected)).toBe(true);
  });
});

describe("a copy to the device that fails in the middle", () => {
  const failsOnce = () => double.arm({ call: "cuMemcpyHtoDAsync", nth: 4, result: OUT_OF_MEMORY });

  test("leaves a model that was released as it was", async () => {
    const checkpoint = await openFixture("tiny-llama-gqa");
    const model = modelsOn("cuda:0", checkpoint)("bfloat16");
    failsOnce();
    expect(await failure(() => model.load(checkpoint.tensors))).toMatchObject({ code: "out_of_memory" });
    expect(model.observe()).toMatchObject({ residency: "released", committedBytes: 0 });
  });

  test("leaves no half-written weights to be read, and the next load is whole", async () => {
    const checkpoint = await openFixture("tiny-llama-gqa");
    const model = modelsOn("cuda:0", checkpoint)("bfloat16");
    await model.load(checkpoint.tensors);
    const before = await weightsOf(model);
    failsOnce();
    const message = expect.stringContaining("its contents are undefined now");
    expect(await failure(() => model.load(checkpoint.tensors))).toMatchObject({ code: "out_of_memory", message });
    expect(await failure(() => weightsOf(model))).toMatchObject({ code: "contents_undefined" });
    await model.load(checkpoint.tensors);
    expect(await weightsOf(model)).toEqual(before);
  });
});
