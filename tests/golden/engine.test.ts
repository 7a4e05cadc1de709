/**
 * The real engine against the truth: transformers' answers for the fixtures, in every form in which the same model can
 * be stored, and the float64 reference's for models that nobody has seen before.
 */

import { readdirSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatConfig } from "../../core/checkpoint/format-config.ts";
import type { ModelConfig } from "../../core/checkpoint/model-config.ts";
import { runGolden } from "../../electron/golden/run.ts";
import { type Checkpoint, openCheckpoint, writeCheckpoint } from "../../electron/session/checkpoint.ts";
import type { DType } from "../../native/addon.d.ts";
import { addon, testDevice } from "../native/support.ts";
import { decodeFloats, encodeFloats } from "./floats.ts";
import {
  type ModelTensor,
  randomTensors,
  readWeights,
  referenceGolden,
  writeCase,
  writeShards,
  writeTensors,
} from "./models.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures");
const STAGES = 12;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tideline-golden-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the golden runner as the command line does, keeping what it prints. */
async function run(...folders: string[]) {
  const lines: string[] = [];
  const options = { json: false, device: testDevice() };
  const totals = await runGolden(folders, options, { addon, write: (line) => lines.push(line) });
  return { totals, output: lines.join("\n"), lines };
}

async function expectToPass(...folders: string[]) {
  const { totals, output, lines } = await run(...folders);
  expect(totals.failed, output).toBe(0);
  expect(lines.filter((line) => line.includes("  pass"))).toHaveLength(STAGES * totals.passed);
  return totals;
}

test("every checkpoint of the fixtures, at every stage", async () => {
  expect(await expectToPass(join(FIXTURES, "checkpoints"))).toEqual({ passed: 7, failed: 0, skipped: 0 });
});

describe("the same model in other clothes", () => {
  const SOURCE = join(FIXTURES, "checkpoints", "tiny-llama-gqa");

  async function sourceTensors(): Promise<readonly ModelTensor[]> {
    const { tensors } = await openCheckpoint(SOURCE);
    return Promise.all(
      tensors.map(async ({ name, dtype, shape, file, offset, bytes }) => {
        return { name, dtype, shape, bytes: (await readFile(file)).subarray(offset, offset + bytes) };
      }),
    );
  }
  const json = async (name: string) => JSON.parse(await readFile(join(SOURCE, name), "utf8"));

  test("config.json of transformers 4", async () => {
    const { rope_parameters, dtype, ...rest } = await json("config.json");
    const config = { ...rest, torch_dtype: dtype, rope_theta: rope_parameters.rope_theta, rope_scaling: null };
    const path = join(folder, "transformers-4");
    await writeCase(path, config, await json("golden.json"));
    await writeTensors(join(path, "model.safetensors"), await sourceTensors());
    await expectToPass(path);
  });

  test("in three shards, with tensors that no model has", async () => {
    const path = join(folder, "sharded");
    await writeCase(path, await json("config.json"), await json("golden.json"));
    const buffer = {
      name: "model.layers.0.self_attn.rotary_emb.inv_freq",
      dtype: "F32",
      shape: [8],
      bytes: new Uint8Array(32),
    };
    await writeShards(path, [...(await sourceTensors()), buffer], 3);
    await expectToPass(path);
  });

  test("rounded to float16, with some tensors left in float32", async () => {
    const path = join(folder, "float16");
    const mixed = (await sourceTensors()).map((tensor) =>
      tensor.name.includes("norm")
        ? tensor
        : { ...tensor, dtype: "F16", bytes: encodeFloats(decodeFloats(tensor.bytes, "F32"), "F16") },
    );
    await writeCase(path, await json("config.json"), {});
    await writeTensors(join(path, "model.safetensors"), mixed);
    const checkpoint = await openCheckpoint(path);
    expect(checkpoint.dtype).toBe("float16");
    const weights = new Map(
      [...(await readWeights(checkpoint))].map(([name, values]) => [
        name,
        decodeFloats(encodeFloats(values, "F16"), "F16"),
      ]),
    );
    const prompts = [[245], [3, 50, 9, 200, 17, 8, 100]];
    await writeCase(path, await json("config.json"), referenceGolden(checkpoint, weights, prompts, 12));
    await expectToPass(path);
  });

  test("two models of one shape are swapped for each other", async () => {
    const config = await json("config.json");
    const { config: parsed } = await openCheckpoint(SOURCE);
    const path = join(folder, "twin");
    await writeCase(path, config, {});
    await writeTensors(join(path, "model.safetensors"), randomTensors(parsed, "float32", 7));
    const checkpoint = await openCheckpoint(path);
    await writeCase(path, config, referenceGolden(checkpoint, await readWeights(checkpoint), [[1, 2, 3], [300]], 10));
    expect(await expectToPass(SOURCE, path)).toMatchObject({ passed: 2 });
  });
});

describe("written back by the engine", () => {
  test.each(readdirSync(join(FIXTURES, "checkpoints")))("%s", async (name) => {
    const source = await openCheckpoint(join(FIXTURES, "checkpoints", name));
    const { config, dtype, tensors } = source;
    const device = addon.openDevice({ name: testDevice(), capacityBytes: 2 ** 28 });
    const model = addon.createModel(device, { config, dtype, consumer: "engine.weights" });
    await model.load(tensors);
    const path = join(folder, `written-${name}`);
    const written = await writeCheckpoint({ folder: path, like: source, weights: model });
    await model.close();
    await device.close();

    expect(written.config).toEqual(config);
    expect(await tensorBytes(written)).toEqual(await tensorBytes(source));
    await copyFile(join(source.path, "golden.json"), join(path, "golden.json"));
    await expectToPass(path);
  });

  /** By name, whichever files they lie in. */
  async function tensorBytes({ tensors }: Checkpoint) {
    const entries = tensors.map(async ({ name, dtype, shape, file, offset, bytes }) => {
      const data = (await readFile(file)).subarray(offset, offset + bytes).toString("base64");
      return [name, { dtype, shape, data }] as const;
    });
    return new Map((await Promise.all(entries)).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
});

describe("the runner fails", () => {
  async function copyWith(
    name: string,
    change: (golden: { cases: { last_logits: number[]; greedy: number[] }[] }) => void,
  ) {
    const source = join(FIXTURES, "checkpoints", "tiny-llama-gqa");
    const golden = JSON.parse(await readFile(join(source, "golden.json"), "utf8"));
    change(golden);
    const path = join(folder, name);
    await writeCase(path, JSON.parse(await readFile(join(source, "config.json"), "utf8")), golden);
    const { tensors } = await openCheckpoint(source);
    const [first] = tensors;

    if (first !== undefined) await writeFile(join(path, "model.safetensors"), await readFile(first.file));
    return path;
  }

  test("when one logit of the truth is another", async () => {
    const path = await copyWith("wrong-logit", ({ cases }) => {
      const logits = cases[2]?.last_logits ?? [];
      logits[100] = (logits[100] ?? 0) + 1e-3;
    });
    const { totals, output } = await run(path);
    expect(totals).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(output).toContain("prompt 2: logit 100");
  });

  test("when one token of the truth is another", async () => {
    const path = await copyWith("wrong-token", ({ cases }) => {
      const greedy = cases[1]?.greedy ?? [];
      greedy[5] = ((greedy[5] ?? 0) + 1) % 320;
    });
    const { totals, output } = await run(path);
    expect(totals.failed).toBe(1);
    expect(output).toContain("prompt 1: greedy token 5");
  });

  test("when the checkpoint is damaged, and goes on with the next", async () => {
    const path = await copyWith("damaged", () => undefined);

    await truncate(join(path, "model.safetensors"), 100_000);
    const { totals, output } = await run(path, join(FIXTURES, "checkpoints", "tiny-llama-gqa"));
    expect(totals).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(output).toContain("checkpoint_invalid");
  });

  test("when weights are not those of the config, with the tensor that is missing", async () => {
    const path = await copyWith("another-config", () => undefined);
    const file = join(path, "config.json");
    const config = JSON.parse(await readFile(file, "utf8"));
    await writeFile(file, JSON.stringify({ ...config, num_hidden_layers: config.num_hidden_layers + 1 }));
    const { totals, output } = await run(path);
    expect(totals).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(output).toContain("is missing from the checkpoint (weights_mismatch)");
  });
});

describe("models that nobody has seen before", () => {
  const rope: fc.Arbitrary<ModelConfig["rope"]> = fc
    .record({
      theta: fc.constantFrom(1e4, 5e5, 1e6),
      factor: fc.constantFrom(1, 2, 8),
      type: fc.constantFrom("default", "linear", "llama3"),
    })
    .map(({ theta, factor, type }) =>
      type === "llama3"
        ? { type, theta, factor, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 32 }
        : type === "linear"
          ? { type, theta, factor }
          : { type: "default", theta },
    );
  const config: fc.Arbitrary<ModelConfig> = fc
    .record({
      family: fc.constantFrom("llama", "qwen2", "qwen3"),
      vocabSize: fc.integer({ min: 3, max: 130 }),
      hiddenSize: fc.integer({ min: 1, max: 70 }),
      intermediateSize: fc.integer({ min: 1, max: 90 }),
      layers: fc.integer({ min: 1, max: 3 }),
      kvHeads: fc.integer({ min: 1, max: 3 }),
      group: fc.integer({ min: 1, max: 4 }),
      halfHead: fc.integer({ min: 1, max: 20 }),
      rmsNormEps: fc.constantFrom(1e-5, 1e-6),
      tied: fc.boolean(),
      bias: fc.boolean(),
      mlpBias: fc.boolean(),
      rope,
    })
    .map(({ family, group, halfHead, tied, bias, mlpBias, ...rest }) => ({
      ...rest,
      family,
      heads: rest.kvHeads * group,
      headDim: 2 * halfHead,
      maxPositions: 256,
      tiedEmbeddings: tied,
      qkvBias: family === "qwen2" || bias,
      outputBias: family !== "qwen2" && bias,
      mlpBias: family === "llama" && mlpBias,
      qkNorm: family === "qwen3",
      eosTokenIds: [],
    }));
  const dtype: fc.Arbitrary<DType> = fc.constantFrom("float32", "float16", "bfloat16");

  test("computes what the float64 reference computes", async () => {
    let number = 0;
    const model = fc.record({
      config,
      dtype,
      seed: fc.nat(1e6),
      lengths: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(model, async ({ config, dtype, seed, lengths }) => {
        const path = join(folder, `random-${number++}`);
        await writeCase(path, formatConfig(config), {});
        await writeTensors(join(path, "model.safetensors"), randomTensors(config, dtype, seed));
        const checkpoint = await openCheckpoint(path);
        expect(checkpoint.config).toEqual(config);
        const prompts = lengths.map((length, row) =>
          Array.from({ length }, (_, i) => (seed + 31 * row + 7 * i * i) % config.vocabSize),
        );
        await writeCase(
          path,
          formatConfig(config),
          referenceGolden(checkpoint, await readWeights(checkpoint), prompts, 8),
        );
        await expectToPass(path);
        await rm(path, { recursive: true });
      }),
      { numRuns: 25 },
    );
  });
});
