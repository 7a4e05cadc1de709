/**
 * Gradients and Adam's moments in bfloat16: half the memory, computed in float32 and rounded to nearest where they are
 * stored, once for each micro-batch and each update.
 */
import { describe, expect, test } from "vitest";
import type { NativeModel, TrainerLimits } from "../../../native/addon.d.ts";
import { decodeFloats, roundTo } from "../../golden/floats.ts";
import { addon, failure, withFolder } from "../support.ts";
import { CONFIGS, gradientsOf, numbers, type OpenOptions, openTrainer, sequences, weightsOf } from "./support.ts";

/** Its gradients are added to once for each call: it has one sum of logits, and an embedding of its own. */
const CONFIG = CONFIGS.llama;
const BATCH = sequences(CONFIG.vocabSize, [12, 5, 9]);
const TOKENS = BATCH.reduce((sum, { ids, from }) => sum + ids.length - from, 0);
const IN_16_BITS: TrainerLimits = { gradientDtype: "bfloat16", momentDtype: "bfloat16" };

const toBfloat16 = (value: number) => roundTo("bfloat16", value);

/** How far a number moves at most when it is rounded; two orders of a float32 sum may be rounded apart where it is about 0. */
function expectRounded(actual: number, exact: number, what: string): void {
  expect(Math.abs(actual - exact), what).toBeLessThanOrEqual(2 ** -8 * Math.abs(exact) + 1e-8);
  expect(toBfloat16(actual), what).toBe(actual);
}

async function gradientsAfter(calls: readonly (typeof BATCH)[], options: OpenOptions) {
  const { trainer, model } = await openTrainer({ config: CONFIG, microBatch: 3, ...options });
  for (const call of calls) await trainer.languageStep(call, { lossTokens: TOKENS });
  return gradientsOf(trainer, model);
}

describe("gradients in bfloat16", () => {
  test.each(["lm", "value"] as const)("of one micro-batch are float32's, rounded once (%s head)", async (head) => {
    const count = BATCH.map(({ ids, from }) => ids.length - from);
    const values = BATCH.map((sequence, row) => ({
      ...sequence,
      oldValues: numbers(count[row] ?? 0, row),
      returns: numbers(count[row] ?? 0, row + 5),
    }));
    const gradients = async (options: OpenOptions) => {
      const { trainer, model } = await openTrainer({ config: CONFIGS.qwen3, head, microBatch: 3, ...options });
      await (head === "lm" ? trainer.languageStep(BATCH) : trainer.criticStep(values, {}));
      return gradientsOf(trainer, model);
    };
    const exact = await gradients({});
    for (const [name, rounded] of await gradients({ gradientDtype: "bfloat16" })) {
      const wanted = exact.get(name) ?? new Float32Array();
      expect(wanted.some((value) => value !== 0 && toBfloat16(value) !== value)).toBe(true);
      for (const [at, value] of rounded.entries()) expectRounded(value, wanted[at] ?? Number.NaN, `${name}[${at}]`);
    }
  });

  test("of two are rounded at each addition", async () => {
    const [first, second] = [BATCH.slice(0, 1), BATCH.slice(1)];
    const before = await gradientsAfter([first], { gradientDtype: "bfloat16" });
    const added = await gradientsAfter([second], {});
    for (const [name, sums] of await gradientsAfter([first, second], { gradientDtype: "bfloat16" })) {
      for (const [at, sum] of sums.entries()) {
        expectRounded(sum, (before.get(name)?.[at] ?? Number.NaN) + (added.get(name)?.[at] ?? 0), `${name}[${at}]`);
      }
    }
  });

  test("that are too large for it stop the update, which says so and changes nothing", async () => {
    const { trainer, model } = await openTrainer({ config: CONFIG, ...IN_16_BITS });
    const steep = BATCH.map((sequence) => {
      const count = sequence.ids.length - sequence.from;
      return { ...sequence, oldLogprobs: Array(count).fill(-3), advantages: Array(count).fill(-1e39) };
    });
    const before = await weightsOf(model);
    await trainer.policyStep(steep, { clipRange: 10 });
    expect(await failure(() => trainer.optimizerStep({ learningRate: 1e-3 }))).toMatchObject({
      code: "not_finite",
      tensor: "lm_head.weight",
      message: expect.stringContaining("too large for bfloat16"),
    });
    expect(await weightsOf(model)).toEqual(before);
  });
});

// ---------------------------------------------------------------------------------------------------------------------

const OPTIONS = { learningRate: 0.01, beta1: 0.8, beta2: 0.9, eps: 1e-6, weightDecay: 0.1, maxGradientNorm: 0.5 };

/** AdamW of float32 weights in double precision, as PyTorch orders it, with moments that are stored as `round` leaves them. */
class Reference {
  private readonly state = new Map<string, { readonly first: Float64Array; readonly second: Float64Array }>();
  private step = 0;

  constructor(
    private readonly weights: ReadonlyMap<string, Float64Array>,
    private readonly round: (value: number) => number,
  ) {}

  apply(gradients: ReadonlyMap<string, Float32Array>): void {
    const { learningRate, beta1, beta2, eps, weightDecay, maxGradientNorm } = OPTIONS;
    const norm = Math.hypot(...[...gradients.values()].map((gradient) => Math.hypot(...gradient)));
    const scale = Math.min(1, maxGradientNorm / (norm + 1e-6));
    this.step++;
    for (const [name, weight] of this.weights) {
      const { first, second } = this.state.get(name) ?? {
        first: new Float64Array(weight.length),
        second: new Float64Array(weight.length),
      };
      this.state.set(name, { first, second });
      for (const [at, value] of weight.entries()) {
        const gradient = scale * (gradients.get(name)?.[at] ?? Number.NaN);
        const mean = beta1 * (first[at] ?? 0) + (1 - beta1) * gradient;
        const square = beta2 * (second[at] ?? 0) + (1 - beta2) * gradient ** 2;
        // A step is taken with what was computed, not with what is stored of it.
        first[at] = this.round(mean);
        second[at] = this.round(square);
        const change = mean / (1 - beta1 ** this.step) / (Math.sqrt(square / (1 - beta2 ** this.step)) + eps);
        weight[at] = value - learningRate * (weightDecay * value + change);
      }
    }
  }

  /** How many weights of the model are further than `most` from these, and the furthest. */
  async distanceTo(model: NativeModel, most: number) {
    let further = 0;
    let furthest = 0;
    for (const [name, bytes] of await weightsOf(model)) {
      for (const [at, value] of decodeFloats(bytes, "F32").entries()) {
        const distance = Math.abs(value - (this.weights.get(name)?.[at] ?? Number.NaN));
        if (!(distance <= most)) further++;
        furthest = Math.max(furthest, distance);
      }
    }
    return { further, furthest };
  }
}

test("four updates with 16-bit state are AdamW's whose moments are rounded after each", async () => {
  const { trainer, model, weights } = await openTrainer({ config: CONFIG, microBatch: 3, ...IN_16_BITS });
  const copy = () => new Map([...weights].map(([name, values]) => [name, Float64Array.from(values)]));
  const rounding = new Reference(copy(), toBfloat16);
  const exact = new Reference(copy(), (value) => value);
  for (let step = 0; step < 4; step++) {
    await trainer.languageStep(BATCH);
    const gradients = await gradientsOf(trainer, model);
    rounding.apply(gradients);
    exact.apply(gradients);
    await trainer.optimizerStep(OPTIONS);
  }
  const count = [...weights.values()].reduce((sum, { length }) => sum + length, 0);
  const same = await rounding.distanceTo(model, 1e-6);
  // A mean at the middle between two of bfloat16 may be rounded either way: by 2^-8 of a step of the learning rate's size.
  expect(same.further).toBeLessThan(count / 500);
  expect(same.furthest).toBeLessThan(OPTIONS.learningRate * 2 ** -6);
  // With nothing rounded it would be another result, and no more than a rounding away for each update.
  const other = await exact.distanceTo(model, 1e-6);
  expect(other.further).toBeGreaterThan(count / 2);
  expect(other.furthest).toBeLessThan(4 * OPTIONS.learningRate * 2 ** -6);
});

test.each<OpenOptions>([{ dtype: "float32" }, { dtype: "bfloat16", masterWeights: true }])(
  "a text is learned by heart with 16-bit state and %j",
  async (options) => {
    const { trainer } = await openTrainer({ config: CONFIG, microBatch: 3, ...IN_16_BITS, ...options });
    await trainer.languageStep(BATCH);
    for (let step = 0; step < 150; step++) {
      await trainer.optimizerStep({ learningRate: 0.01, weightDecay: 0 });
      await trainer.languageStep(BATCH);
    }
    expect((await trainer.languageStep(BATCH)).loss).toBeLessThan(0.1);
  },
);

test.each(["host", "disk"] as const)(
  "updates keep their bits with all of it released to %s in between",
  async (mode) => {
    await withFolder(async (directory) => {
      const learned = async (release: boolean) => {
        const { trainer, model } = await openTrainer({
          ...{ config: CONFIG, dtype: "bfloat16", masterWeights: true },
          ...IN_16_BITS,
        });
        for (let step = 0; step < 3; step++) {
          for (const part of [BATCH.slice(0, 1), BATCH.slice(1)]) {
            await trainer.languageStep(part, { lossTokens: TOKENS });
            if (!release) continue;
            // Before the first update the optimizer holds nothing.
            const tags = step === 0 ? (["gradients"] as const) : (["gradients", "optimizer"] as const);
            for (const tag of tags) await trainer.release(tag, { mode, directory });
            for (const tag of tags) await trainer.resume(tag);
          }
          await trainer.optimizerStep({ learningRate: 1e-3 });
        }
        const updated = await weightsOf(model);
        await model.release({ mode: "discard" });
        await trainer.restoreWeights();
        expect(await weightsOf(model)).toEqual(updated);
        return updated;
      };
      expect(await learned(true)).toEqual(await learned(false));
    });
  },
);

test("checkpointing and the number of threads change no bit", async () => {
  const [plain, ...others] = await Promise.all(
    [{}, { checkpointing: true }, { threads: 1 }].map((options) =>
      gradientsAfter([BATCH], { ...IN_16_BITS, ...options }),
    ),
  );
  for (const other of others) expect(other).toEqual(plain);
});

describe("memory", () => {
  // Widths that need no padding between tensors.
  const config = { ...CONFIG, vocabSize: 128, hiddenSize: 128, intermediateSize: 256, headDim: 32, kvHeads: 4 };
  const bytes = (limits: TrainerLimits) => addon.trainingBytes(config, { dtype: "bfloat16", ...limits });

  test("gradients and moments take half, master weights what they took", () => {
    const wide = bytes({});
    expect(bytes(IN_16_BITS)).toEqual({
      ...wide,
      gradientsBytes: wide.gradientsBytes / 2,
      optimizerBytes: wide.optimizerBytes / 2,
    });
    const masters = bytes({ masterWeights: true, ...IN_16_BITS });
    expect(masters.optimizerBytes).toBe(wide.optimizerBytes / 2 + wide.gradientsBytes);
  });

  test("float16 is refused: it has no room for squares of small gradients", () => {
    // @ts-expect-error: as a caller without types may ask.
    expect(() => bytes({ momentDtype: "float16" })).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});
