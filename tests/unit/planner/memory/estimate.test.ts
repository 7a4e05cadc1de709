/** `tideline estimate`: answers under the fixture's names, and refuses what is impossible at the field. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asMeasured } from "../../../../core/planner/memory/estimate/as-measured.ts";
import { estimate } from "../../../../core/planner/memory/estimate/estimate.ts";
import { parseEstimateQuestion } from "../../../../core/planner/memory/estimate/question.ts";
import { modelNamed } from "../../../../core/planner/models/catalogue.ts";
import { readArchitecture } from "../../../../core/planner/models/from-config.ts";
import { sumOf } from "../../../../core/planner/provenance.ts";

const QUESTION = { workload: "train", batch: 1, sequence: 256, precision: "bf16" } as const;
const ask = (name: string, changes: object = {}) => {
  const question = parseEstimateQuestion({ ...QUESTION, ...changes });
  return { question, answer: estimate(modelNamed(name), question) };
};
const train = (name: string, changes: object = {}) => {
  const { stages } = ask(name, changes).answer;
  if (stages.workload !== "train") throw new Error("asked for a training step");
  return stages.steadyStep;
};

test("the field names of the measured fixture", () => {
  const { question, answer } = ask("Qwen2.5-0.5B");
  const row = asMeasured("Qwen2.5-0.5B", question, answer);
  expect(row).toMatchObject({ model: "Qwen2.5-0.5B", parameters: 494_032_768, weights_mib: 942.3, workload: "train" });
  expect(Object.keys("steady_step" in row ? row.steady_step : {})).toEqual(
    expect.arrayContaining([
      "forward_end_allocated_mib",
      "forward_peak_allocated_mib",
      "backward_peak_allocated_mib",
      "backward_peak_reserved_mib",
      "after_optimizer_step_allocated_mib",
      "after_zero_grad_allocated_mib",
      "device_used_mib",
    ]),
  );
  const score = ask("Qwen2.5-0.5B", { workload: "score" });
  expect(asMeasured("Qwen2.5-0.5B", score.question, score.answer)).toHaveProperty("score.peak_reserved_band_mib");
});

test("the parts of a peak add up to it, and each says where it comes from", () => {
  const { answer } = ask("Llama-3.2-1B", { gradientCheckpointing: true });
  if (answer.stages.workload !== "train") throw new Error("asked for a training step");
  const { steadyStep } = answer.stages;
  const highest = Math.max(steadyStep.backwardPeakBytes, steadyStep.afterOptimizerStepBytes);
  expect(sumOf(answer.peak) / highest).toBeCloseTo(1, 2);
  expect(answer.peak.every(({ provenance }) => provenance === "identity" || provenance === "calibrated")).toBe(true);
});

test("reserved lies in its band, and the band holds what is allocated", () => {
  const { backwardPeakReserved: reserved, backwardPeakBytes } = train("Qwen3-0.6B");
  expect(reserved.lowestBytes).toBeGreaterThanOrEqual(backwardPeakBytes);
  expect(reserved.highestBytes / reserved.lowestBytes).toBeLessThanOrEqual(1.25);
});

describe("what saves memory, saves it", () => {
  const peak = (changes: object) => train("Qwen2.5-0.5B", { batch: 2, sequence: 1024, ...changes }).backwardPeakBytes;
  const plain = peak({});
  test("gradient checkpointing", () => expect(peak({ gradientCheckpointing: true })).toBeLessThan(plain));
  test("a loss in parts", () => expect(peak({ lossRows: 128 })).toBeLessThan(plain - 2 ** 30));
  test("adapters", () => expect(peak({ gradientCheckpointing: true, loraRank: 8 })).toBeLessThan(plain));
  test("a value head", () => expect(peak({ head: "value" })).toBeLessThan(plain));
  test("eager attention costs", () => expect(peak({ attention: "eager" })).toBeGreaterThan(plain + 2 ** 30));
  test("a mask costs, unless the kernel needs none", () => {
    expect(peak({ masked: true })).toBeGreaterThan(plain);
    expect(peak({ masked: true, attention: "flash" })).toBe(plain);
  });
});

describe("models of every kind that nobody measured", () => {
  const MODELS = ["Qwen2.5-3B", "Llama-3.2-3B", "gemma-2-2b", "Qwen3-30B-A3B", "DeepSeek-V2-Lite"];
  const anyQuestion = fc.record({
    name: fc.constantFrom(...MODELS),
    batch: fc.integer({ min: 1, max: 8 }),
    sequence: fc.integer({ min: 2, max: 3000 }),
    precision: fc.constantFrom("bf16", "fp32-master", "fp32"),
    gradientCheckpointing: fc.boolean(),
  });
  const stagesOf = (name: string, changes: object) => {
    const { forwardEndBytes, forwardPeakBytes, backwardPeakBytes, backwardPeakReserved, ...after } = train(
      name,
      changes,
    );
    return {
      ...after,
      backwardPeakReserved,
      bytes: [forwardEndBytes, forwardPeakBytes, backwardPeakBytes],
    };
  };

  test("are held in the order in which a step goes", () => {
    fc.assert(
      fc.property(anyQuestion, ({ name, ...changes }) => {
        const { weightsBytes } = ask(name, changes).answer;
        const { bytes, afterOptimizerStepBytes, afterZeroGradBytes, backwardPeakReserved } = stagesOf(name, changes);
        const [forwardEnd = 0, forwardPeak = 0, backwardPeak = 0] = bytes;
        expect(forwardPeak).toBeGreaterThanOrEqual(forwardEnd);
        expect(backwardPeak).toBeGreaterThan(weightsBytes);
        expect(afterOptimizerStepBytes).toBeGreaterThan(afterZeroGradBytes);
        expect(afterZeroGradBytes).toBeGreaterThanOrEqual(3 * weightsBytes);
        expect(backwardPeakReserved.lowestBytes).toBeGreaterThanOrEqual(backwardPeak);
        expect(backwardPeakReserved.highestBytes / backwardPeakReserved.lowestBytes).toBeLessThanOrEqual(1.25);
      }),
      { numRuns: 40 },
    );
  });

  // Of what is asked for. What is allocated is not in order: each block may have a rest that the allocator did not cut off,
  // which depends on what was free where it was put (allocator.test.ts); checkpointing can cost hundreds of them.
  test("need no less for more rows or longer ones, and no more with checkpointing", () => {
    fc.assert(
      fc.property(anyQuestion, fc.integer({ min: 1, max: 500 }), ({ name, ...changes }, more) => {
        const peakBytes = (other: object) => sumOf(ask(name, { ...changes, ...other }).answer.peak);
        const bytes = peakBytes({});
        expect(peakBytes({ batch: changes.batch + 1 })).toBeGreaterThanOrEqual(bytes);
        expect(peakBytes({ sequence: changes.sequence + more })).toBeGreaterThanOrEqual(bytes);
        // A layer that is computed again needs its input, and the thread that does so a workspace for products with biases.
        const { hiddenSize } = modelNamed(name);
        const inputBytes = changes.batch * changes.sequence * hiddenSize * (changes.precision === "bf16" ? 2 : 4);
        expect(peakBytes({ gradientCheckpointing: true })).toBeLessThanOrEqual(
          peakBytes({ gradientCheckpointing: false }) + inputBytes + 2 ** 20,
        );
      }),
      { numRuns: 40 },
    );
  });
});

test("more tokens never take less", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 2, max: 600 }), (batch, sequence) => {
      const peak = (more: number) => {
        const { stages } = ask("SmolLM2-135M", { workload: "score", batch: batch + more, sequence }).answer;
        return stages.workload === "score" ? stages.peakAllocatedBytes : 0;
      };
      expect(peak(1)).toBeGreaterThanOrEqual(peak(0));
    }),
    { numRuns: 30 },
  );
});

test.each([
  [{ batch: 0 }, "batch", "must be a whole number from 1 to"],
  [{ batch: 1.5 }, "batch", "must be a whole number from 1 to"],
  [{ sequence: 1 }, "sequence", "must be a whole number from 2 to"],
  [{ batch: 2 ** 60 }, "batch", "must be a whole number from 1 to"],
  [{ precision: "fp7" }, "precision", 'precision is "fp7"', "allowed: bf16, fp32-master, fp32"],
  [{ workload: "dream" }, "workload", 'workload is "dream"', "allowed: score, train"],
  [{ attention: "fast" }, "attention", 'attention is "fast"', "allowed: sdpa, eager, flash"],
  [{ workload: "score", loraRank: 8 }, "loraRank", "must be left out for score"],
])("%o is refused at %s", (changes, field, problem, hint = expect.any(String)) => {
  expect(() => parseEstimateQuestion({ ...QUESTION, ...changes } as never)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(problem),
      data: expect.objectContaining({ code: "bad_argument", field, hint }),
    }),
  );
});

test("numbers past 2^53 are refused at the field, with what can be counted", () => {
  const refused = (changes: object) => () =>
    estimate(modelNamed("Qwen2.5-7B"), parseEstimateQuestion({ ...QUESTION, ...changes }));
  expect(refused({ batch: 2 ** 26, sequence: 2 ** 20 })).toThrow(
    expect.objectContaining({
      data: expect.objectContaining({ field: "batch", message: expect.stringMatching(/at most \d+/) }),
    }),
  );
  expect(refused({ batch: 2 ** 26, sequence: 2 ** 26 })).toThrow(
    expect.objectContaining({ data: expect.objectContaining({ field: "sequence" }) }),
  );
});

test("every number is a safe one up to what is taken", () => {
  const config = {
    model_type: "llama",
    hidden_size: 64,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    vocab_size: 8,
  };
  const tiny = readArchitecture(config, "config.json").architecture;
  const { stages } = estimate(tiny, parseEstimateQuestion({ ...QUESTION, batch: 2 ** 20, sequence: 2 ** 20 }));
  expect(stages.workload === "train" && Number.isSafeInteger(stages.steadyStep.backwardPeakBytes)).toBe(true);
});
