/**
 * int8 weights of models that only score: what quantising loses is at most half a step of each row, scoring computes with
 * exactly what is stored, and on the demo model the log-probs hardly change.
 */
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import { openCheckpoint } from "../../../electron/session/checkpoint.ts";
import type { DType, ModelConfig, ModelHead, NativeModel, WeightDType } from "../../../native/addon.d.ts";
import { decodeFloats, encodeFloats } from "../../golden/floats.ts";
import type { ModelTensor } from "../../golden/models.ts";
import { generateOne, request } from "../engine/support.ts";
import { addon, failure, roomFor, testDevice } from "../support.ts";
import { CONFIGS, loadTensors, sequences, tensorsFor } from "./support.ts";

const DEMO = join(import.meta.dirname, "../../../assets/demo");

function openDevice() {
  const device = addon.openDevice({ name: testDevice(), capacityBytes: roomFor(256 * MIB) });
  const models: NativeModel[] = [];
  onTestFinished(async () => {
    for (const model of models) await model.close();
    await device.close();
  });
  const createModel = (config: ModelConfig, dtype: WeightDType, consumer: string, head: ModelHead = "lm") => {
    const model = addon.createModel(device, { config, dtype, head, consumer });
    models.push(model);
    return model;
  };
  const openTrainer = async (model: NativeModel) => {
    const trainer = addon.createTrainer(device, {
      model,
      consumerPrefix: "reference",
      trainable: false,
      sequenceTokens: 64,
      microBatch: 3,
    });
    onTestFinished(() => trainer.close());
    for (const tag of ["activations", "logits"] as const) await trainer.resume(tag);
    return trainer;
  };
  return { device, createModel, openTrainer };
}

/** Dividing by the step and rounding it are float32, of numbers up to 127. */
const HALF_A_STEP = 0.5 + 127 * 2 ** -23;

/** What an int8 model stands for, tensor by tensor: the whole numbers times the scale of their row. */
async function dequantised(model: NativeModel): Promise<ReadonlyMap<string, Float64Array>> {
  const values = new Map<string, Float64Array>();
  for (const { name, dtype, shape } of model.tensors()) {
    if (name.endsWith("_scale")) continue;
    const bytes = await model.readTensor(name);
    if (dtype === "F32") {
      values.set(name, decodeFloats(bytes, "F32"));
      continue;
    }
    const scales = decodeFloats(await model.readTensor(`${name}_scale`), "F32");
    const whole = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    values.set(
      name,
      Float64Array.from(whole, (step, at) => step * (scales[Math.floor(at / (shape[1] ?? 1))] ?? 0)),
    );
  }
  return values;
}

describe.each(["float32", "bfloat16", "float16"] as const)("from %s", (dtype) => {
  test.each(["lm", "value"] as const)("each number is off by at most half a step of its row (%s)", async (head) => {
    const { createModel } = openDevice();
    const config = CONFIGS.llama;
    const model = createModel(config, "int8", "reference.weights", head);
    const given = tensorsFor(config, dtype, head, 5);
    await loadTensors(model, given);
    const stored = await dequantised(model);
    expect([...stored.keys()].sort()).toEqual(given.map(({ name }) => name).sort());
    for (const { name, shape, dtype: from, bytes } of given) {
      const exact = decodeFloats(bytes, from);
      const [rows = 1, columns = 1] = shape;
      const vector = shape.length === 1 || name === "value_head.weight";
      for (let row = 0; row < rows; row++) {
        const of = (values: Float64Array | undefined) => [...(values ?? []).slice(row * columns, (row + 1) * columns)];
        const largest = Math.max(...of(exact).map(Math.abs));
        const most = vector ? 0 : (HALF_A_STEP * largest) / 127;
        const off = of(exact).map((value, at) => Math.abs(value - (of(stored.get(name))[at] ?? Number.NaN)));
        expect(Math.max(...off), `${name}, row ${row}`).toBeLessThanOrEqual(most);
      }
    }
  });
});

describe.each(Object.values(CONFIGS))("$family", (config) => {
  test.each(["lm", "value"] as const)("scores as a float32 model of the numbers it stands for (%s)", async (head) => {
    const { createModel, openTrainer } = openDevice();
    const quantised = createModel(config, "int8", "reference.weights", head);
    const exact = createModel(config, "float32", "policy.weights", head);
    const given = tensorsFor(config, "bfloat16", head, 3);
    await loadTensors(quantised, given);
    const stored = await dequantised(quantised);
    await loadTensors(
      exact,
      given.map(
        ({ name, shape }) =>
          ({
            name,
            shape,
            dtype: "F32",
            bytes: encodeFloats(stored.get(name) ?? new Float64Array(), "F32"),
          }) satisfies ModelTensor,
      ),
    );
    const batch = sequences(config.vocabSize, [40, 5, 17]);
    const score = async (model: NativeModel) => {
      const trainer = await openTrainer(model);
      if (head === "value") return (await trainer.values(batch)).map((row) => [...row]);
      return (await trainer.scoreTokens(batch)).map(({ logprobs }) => [...logprobs]);
    };
    const [from, truth] = [await score(quantised), await score(exact)];
    for (const [row, values] of truth.entries()) {
      for (const [at, value] of values.entries()) expect(from[row]?.[at]).toBeCloseTo(value, 4);
    }
  });
});

test("copied from a model in memory it is the same as loaded from disk", async () => {
  const { createModel } = openDevice();
  const config = CONFIGS.qwen2;
  const [policy, loaded, copied, again] = [
    createModel(config, "bfloat16", "policy.weights"),
    createModel(config, "int8", "reference.weights"),
    createModel(config, "int8", "reward.weights"),
    createModel(config, "int8", "critic.weights"),
  ];
  const given = tensorsFor(config, "bfloat16", "lm", 3);
  await loadTensors(policy, given);
  await loadTensors(loaded, given);
  await copied.copyFrom(policy);
  await again.copyFrom(copied);
  for (const { name } of loaded.tensors()) {
    expect(await copied.readTensor(name), name).toEqual(await loaded.readTensor(name));
    expect(await again.readTensor(name), name).toEqual(await loaded.readTensor(name));
  }
  expect(await failure(() => policy.copyFrom(loaded))).toMatchObject({ code: "weights_mismatch", field: "dtype" });
});

test("it neither learns nor generates, and a number that is none is refused by name", async () => {
  const { device, createModel } = openDevice();
  const config = CONFIGS.llama;
  const model = createModel(config, "int8", "reference.weights");
  const learning = await failure(() => addon.createTrainer(device, { model, consumerPrefix: "reference" }));
  expect(learning).toMatchObject({ code: "unsupported", field: "dtype" });
  const engineModel = createModel(config, "int8", "engine.weights");
  const generating = await failure(() => addon.createEngine(device, engineModel, { kvCacheBytes: MIB }));
  expect(generating).toMatchObject({ code: "unsupported", field: "dtype" });

  const name = "model.layers.1.mlp.up_proj.weight";
  const damaged = tensorsFor(config, "float32", "lm", 3).map((tensor) => {
    if (tensor.name !== name) return tensor;
    const values = decodeFloats(tensor.bytes, "F32");
    values[values.length - 1] = Number.NaN;
    return { ...tensor, bytes: encodeFloats(values, "F32") };
  });
  expect(await failure(() => loadTensors(model, damaged))).toMatchObject({ code: "not_finite", tensor: name });
  expect(model.observe().residency).toBe("released");
});

describe("the demo model", () => {
  test("takes about half the bytes of bfloat16", async () => {
    const { config } = await openCheckpoint(DEMO);
    const { device, createModel } = openDevice();
    const [whole, half] = [addon.weightBytes(config, "bfloat16"), addon.weightBytes(config, "int8")];
    expect(half / whole).toBeGreaterThan(0.5);
    expect(half / whole).toBeLessThan(0.53);
    const { chunkBytes } = device.observe();
    expect(createModel(config, "int8", "reference.weights").observe().reservedBytes).toBe(
      Math.ceil(half / chunkBytes) * chunkBytes,
    );
  });

  test("gives its own texts nearly the log-probs of bfloat16", async () => {
    const { config, tensors } = await openCheckpoint(DEMO);
    const { device, createModel, openTrainer } = openDevice();
    const own = addon.createModel(device, { config, dtype: "bfloat16", consumer: "engine.weights" });
    await own.load(tensors);
    const engine = addon.createEngine(device, own, { kvCacheBytes: 4 * MIB });
    onTestFinished(() => engine.close());
    await engine.resume("kv_cache");
    await engine.resume("workspace");
    const texts: { readonly ids: readonly number[] }[] = [];
    for (let seed = 0; seed < 8; seed++) {
      const prompt = [config.bosTokenId ?? 1];
      const { tokens } = await generateOne(engine, request(prompt, 60, { temperature: 1, seed }));
      texts.push({ ids: [...prompt, ...tokens] });
    }
    const score = async (dtype: DType | "int8") => {
      const model = createModel(config, dtype, "reference.weights");
      await model.load(tensors);
      const scores = await (await openTrainer(model)).scoreTokens(texts);
      return scores.flatMap(({ logprobs }) => [...logprobs]);
    };
    const [exact, quantised] = [await score("bfloat16"), await score("int8")];
    const changes = exact.map((logprob, at) => Math.abs(logprob - (quantised[at] ?? Number.NaN)));
    const mean = changes.reduce((sum, change) => sum + change, 0) / changes.length;
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(0.005);
    expect(Math.max(...changes)).toBeLessThan(0.1);
  });
});
