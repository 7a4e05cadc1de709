/**
 * The engine and the trainer on a GPU, played by the double of the driver that runs the CUDA kernels' sources: the golden
 * answers with the host's tolerances, and what is left when a launch fails.
 */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runGolden } from "../../../electron/golden/run.ts";
import type { NativeTrainer } from "../../../native/addon.d.ts";
import { decodeFloats } from "../../golden/floats.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, ILLEGAL_ADDRESS, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { openFixture } from "../engine/support.ts";
import { addon, failure } from "../support.ts";
import { weightsOf } from "../training/support.ts";
import { openEngine, openTrainer, someGoldenCases } from "./support.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures");
const PROMPT = [1, 5, 9, 2, 7, 3, 8, 4];

let double: CudaDouble;
beforeAll(async () => {
  double = await installComputeDouble();
}, 300_000);
afterAll(() => double.remove());
afterEach(() => {
  double.disarm();
});

test.each([
  { name: "tiny-llama-gqa", cases: [0, 3] }, // float32
  { name: "tiny-qwen3-qknorm", cases: [1, 2] }, // bfloat16
] as const)(
  "golden answers of $name",
  ({ name, cases }) => expectGolden(someGoldenCases(double, name, cases)),
  300_000,
);

test("the golden PPO update", () => expectGolden(join(FIXTURES, "ppo/ppo-step-llama")), 300_000);

async function expectGolden(folder: string): Promise<void> {
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const totals = await runGolden([folder], { json: false, device: "cuda:0" }, { addon, write });
  expect(totals, lines.join("\n")).toEqual({ passed: 1, failed: 0, skipped: 0 });
}

describe("out of memory at a launch", () => {
  test("fails the engine's request, and the next one gives the same answer as before", async () => {
    const engine = await openEngine(double);
    const before = await engine.score(PROMPT);
    for (const nth of [1, 7, 20]) {
      double.arm({ call: "cuLaunchKernel", nth, result: OUT_OF_MEMORY });
      expect(await failure(() => engine.score(PROMPT))).toMatchObject({ code: "out_of_memory" });
      expect(double.disarm()).toBe(true);
      expect(await engine.score(PROMPT)).toEqual(before);
    }
  });

  test("fails the trainer's call, and scores are the same afterwards", async () => {
    const { trainer, batch } = await openTrainer(double);
    const before = await trainer.scoreTokens(batch);
    for (const step of [
      (): Promise<unknown> => trainer.scoreTokens(batch),
      (): Promise<unknown> => trainer.languageStep(batch),
    ]) {
      double.arm({ call: "cuLaunchKernel", nth: 9, result: OUT_OF_MEMORY });
      expect(await failure(step)).toMatchObject({ code: "out_of_memory" });
      expect(double.disarm()).toBe(true);
      expect(await trainer.scoreTokens(batch)).toEqual(before);
    }
  });
});

test("the same gradients, bit for bit, each time", async () => {
  const { trainer, batch } = await openTrainer(double);
  const gradient = async (): Promise<Float32Array> => {
    await clearGradients(trainer);
    await trainer.languageStep(batch);
    return trainer.readGradient("model.embed_tokens.weight");
  };
  const first = await gradient();
  expect(first.some((value) => value !== 0)).toBe(true);
  expect(await gradient()).toEqual(first);
});

test("updates with gradients and moments in bfloat16 are the host's, and the same bits where the moments stay there", async () => {
  const limits = { gradientDtype: "bfloat16", momentDtype: "bfloat16", microBatch: 2 } as const;
  const learned = async (device: string, streamed: boolean) => {
    const { model, trainer, batch } = await openTrainer(double, limits, device);
    if (streamed) {
      await trainer.release("optimizer", { mode: "discard" });
      await trainer.keepOptimizerOnHost();
    }
    for (let step = 0; step < 2; step++) {
      await trainer.languageStep(batch);
      await trainer.optimizerStep({ learningRate: 1e-3 });
    }
    return weightsOf(model);
  };
  const [onHost, onGpu] = [await learned("host", false), await learned("cuda:0", false)];
  expect(await learned("cuda:0", true)).toEqual(onGpu);
  for (const [name, bytes] of onGpu) {
    const expected = decodeFloats(onHost.get(name) ?? new Uint8Array(), "F32");
    const other = decodeFloats(bytes, "F32").filter((value, at) => !(Math.abs(value - (expected[at] ?? 0)) < 1e-6));
    // Sums in another order, so a gradient or a mean in the middle between two numbers of bfloat16 is rounded the other way.
    expect(other.length, name).toBeLessThanOrEqual(Math.ceil(expected.length / 100));
  }
});

describe("an update", () => {
  const UPDATE = { learningRate: 1e-3 };

  test("that cannot begin changes nothing, and one that was begun is finished", async () => {
    const { model, trainer, batch } = await openTrainer(double);
    const stepped = async (nth: number) => {
      await model.load((await openFixture("tiny-llama-gqa")).tensors);
      await trainer.resetOptimizer();
      await trainer.zeroGradients();
      await trainer.languageStep(batch);
      double.arm({ call: "cuLaunchKernel", nth, result: OUT_OF_MEMORY });
      await trainer.optimizerStep(UPDATE);
      return { launches: double.calls(), failed: double.disarm(), weights: await weightsOf(model) };
    };
    const whole = await stepped(1_000_000);
    expect(whole.failed).toBe(false);
    expect(await stepped(whole.launches)).toMatchObject({ failed: true, weights: whole.weights });

    await trainer.zeroGradients();
    await trainer.languageStep(batch);
    double.arm({ call: "cuLaunchKernel", nth: 1, result: OUT_OF_MEMORY });
    expect(await failure(() => trainer.optimizerStep(UPDATE))).toMatchObject({ code: "out_of_memory" });
    double.disarm();
    expect(await weightsOf(model)).toEqual(whole.weights);
    await trainer.optimizerStep(UPDATE);
    expect(await weightsOf(model)).not.toEqual(whole.weights);
  });

  test("that passes its state from the host and gives up halfway leaves nothing that could be taken for whole", async () => {
    const { model, trainer, batch } = await openTrainer(double);
    await trainer.release("optimizer", { mode: "discard" });
    await trainer.keepOptimizerOnHost();
    await trainer.languageStep(batch);
    double.arm({ call: "cuMemcpyDtoHAsync", nth: 2, result: OUT_OF_MEMORY });
    expect(await failure(() => trainer.optimizerStep(UPDATE))).toMatchObject({
      code: "out_of_memory",
      message: expect.stringMatching(/policy.weights was updated: it and its optimizer's state are undefined now$/),
      hint: "load the weights again and reset the optimizer",
    });
    expect(double.disarm()).toBe(true);
    expect(model.observe()).toMatchObject({ contents: "undefined" });
    expect(await failure(() => trainer.languageStep(batch))).toMatchObject({ code: "contents_undefined" });

    await model.load((await openFixture("tiny-llama-gqa")).tensors);
    await trainer.resetOptimizer();
    await trainer.keepOptimizerOnHost();
    await trainer.languageStep(batch);
    await trainer.optimizerStep(UPDATE);
    expect(model.observe()).toMatchObject({ contents: "defined" });
  });
});

/** As if nothing had been accumulated. */
async function clearGradients(trainer: NativeTrainer): Promise<void> {
  await trainer.release("gradients", { mode: "discard" });
  await trainer.resume("gradients");
}

// The last: a lost device stays lost in this process until all has been closed.
test("a sticky error at a launch is a lost device", async () => {
  const engine = await openEngine(double);
  double.arm({ call: "cuLaunchKernel", nth: 5, result: ILLEGAL_ADDRESS, sticky: true });
  const lost = { code: "device_lost", message: expect.stringContaining("cuda:0 stopped answering") };
  expect(await failure(() => engine.score(PROMPT))).toMatchObject(lost);
  expect(await failure(() => engine.score(PROMPT))).toMatchObject(lost);
});
