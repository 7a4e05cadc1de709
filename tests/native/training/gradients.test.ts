/**
 * Gradients against finite differences of the float64 reference (tests/golden/reference.ts): for every tensor, the loss
 * has to change along a direction as the gradient says, along the gradient itself and along a random one.
 */
import { describe, expect, test } from "vitest";
import type { ModelConfig } from "../../../native/addon.d.ts";
import { logSoftmax, ReferenceModel, type ReferenceWeights } from "../../golden/reference.ts";
import { CONFIGS, gradientsOf, numbers, openTrainer, sequences } from "./support.ts";

/** Steps in float64: truncation and rounding of the central difference are both near 1e-8. */
const STEP = 1e-4;
const RELATIVE_ERROR = 2e-4;
const LENGTHS = [7, 3, 9];
const CLIP_RANGE = 0.2;
const ENTROPY_COEFFICIENT = 0.1;

type Loss = (weights: ReferenceWeights) => number;

async function expectSlopes(weights: ReferenceWeights, gradients: ReadonlyMap<string, Float32Array>, loss: Loss) {
  for (const [name, gradient] of gradients) {
    const length = Math.hypot(...gradient);
    expect(length, `${name} has a gradient`).toBeGreaterThan(0);
    const random = numbers(gradient.length, 3);
    const randomLength = Math.hypot(...random);
    for (const direction of [
      [...gradient].map((value) => value / length),
      random.map((value) => value / randomLength),
    ]) {
      const along = (distance: number) => {
        const moved = (weights.get(name) ?? new Float64Array()).map(
          (value, at) => value + distance * (direction[at] ?? 0),
        );
        return loss(new Map(weights).set(name, moved));
      };
      const measured = (along(STEP) - along(-STEP)) / (2 * STEP);
      const predicted = direction.reduce((sum, value, at) => sum + value * (gradient[at] ?? 0), 0);
      expect(Math.abs(measured - predicted) / length, name).toBeLessThan(RELATIVE_ERROR);
    }
  }
}

/** Logits of every position. */
function logitsOf(config: ModelConfig, weights: ReferenceWeights, ids: readonly number[]) {
  const model = new ReferenceModel(config, weights);
  return ids.map((id) => model.step(id));
}

describe.each(Object.values(CONFIGS))("$family", (config) => {
  const given = sequences(config.vocabSize, LENGTHS);

  test("clipped policy loss with an entropy bonus", async () => {
    const { trainer, model, weights } = await openTrainer({ config, microBatch: 2, logitRows: 5 });
    const scores = await trainer.scoreTokens(given);
    const batch = given.map((sequence, row) => {
      const logprobs = scores[row]?.logprobs ?? new Float32Array();
      return {
        ...sequence,
        // Ratios from 0.6 to 1.6: some are clipped, none so close to the edge that a step crosses it.
        oldLogprobs: [...logprobs].map((logprob, at) => logprob - 0.45 * (numbers(logprobs.length, row)[at] ?? 0)),
        advantages: numbers(logprobs.length, row + 10),
      };
    });
    const seen = await trainer.policyStep(batch, { clipRange: CLIP_RANGE, entropyCoefficient: ENTROPY_COEFFICIENT });
    expect(seen.clipFraction).toBeGreaterThan(0.2);
    expect(seen.clipFraction).toBeLessThan(0.8);

    const loss: Loss = (moved) => {
      let total = 0;
      let tokens = 0;
      for (const { ids, from, oldLogprobs, advantages } of batch) {
        const logits = logitsOf(config, moved, ids);
        for (let token = from; token < ids.length; token++, tokens++) {
          const logprobs = logSoftmax(logits[token - 1] ?? []);
          const ratio = Math.exp(
            (logprobs[ids[token] ?? -1] ?? Number.NaN) - (oldLogprobs[token - from] ?? Number.NaN),
          );
          const advantage = advantages[token - from] ?? Number.NaN;
          const clipped = Math.min(1 + CLIP_RANGE, Math.max(1 - CLIP_RANGE, ratio));
          const entropy = -logprobs.reduce((sum, logprob) => sum + Math.exp(logprob) * logprob, 0);
          total += Math.max(-advantage * ratio, -advantage * clipped) - ENTROPY_COEFFICIENT * entropy;
        }
      }
      return total / tokens;
    };
    expect(seen.loss).toBeCloseTo(loss(weights), 5);
    await expectSlopes(weights, await gradientsOf(trainer, model), loss);
  });

  test("clipped value loss", async () => {
    const { trainer, model, weights } = await openTrainer({ config, head: "value", microBatch: 3 });
    const values = await trainer.values(given);
    const batch = given.map((sequence, row) => {
      const own = values[row] ?? new Float32Array();
      return {
        ...sequence,
        oldValues: [...own].map((value, at) => value - 0.35 * (numbers(own.length, row)[at] ?? 0)),
        returns: [...own].map((value, at) => value + (numbers(own.length, row + 20)[at] ?? 0)),
      };
    });
    const seen = await trainer.criticStep(batch, { clipRange: CLIP_RANGE });

    const valueConfig = { ...config, tiedEmbeddings: false };
    const loss: Loss = (moved) => {
      const head = moved.get("value_head.weight") ?? new Float64Array();
      let total = 0;
      let count = 0;
      for (const { ids, from, oldValues, returns } of batch) {
        const rows = logitsOf(valueConfig, new Map(moved).set("lm_head.weight", head), ids).slice(from);
        for (const [at, [value = Number.NaN]] of rows.entries()) {
          const old = oldValues[at] ?? Number.NaN;
          const target = returns[at] ?? Number.NaN;
          const clipped = Math.min(old + CLIP_RANGE, Math.max(old - CLIP_RANGE, value));
          total += 0.5 * Math.max((value - target) ** 2, (clipped - target) ** 2);
          count++;
        }
      }
      return total / count;
    };
    expect(seen.clipFraction).toBeGreaterThan(0.1);
    expect(seen.loss).toBeCloseTo(loss(weights), 5);
    await expectSlopes(weights, await gradientsOf(trainer, model), loss);
  });

  test("cross-entropy of the next tokens", async () => {
    const { trainer, model, weights } = await openTrainer({ config, checkpointing: true });
    const seen = await trainer.languageStep(given);
    const loss: Loss = (moved) => {
      const terms = given.flatMap(({ ids, from }) => {
        const logits = logitsOf(config, moved, ids);
        return ids.slice(from).map((id, at) => -(logSoftmax(logits[from + at - 1] ?? [])[id] ?? Number.NaN));
      });
      return terms.reduce((sum, term) => sum + term, 0) / terms.length;
    };
    expect(seen.loss).toBeCloseTo(loss(weights), 5);
    await expectSlopes(weights, await gradientsOf(trainer, model), loss);
  });
});

test("a sequence longer than a tile of attention and a piece of a sum", async () => {
  const config = { ...CONFIGS.qwen3, maxPositions: 256 };
  const { trainer, model, weights } = await openTrainer({ config, sequenceTokens: 256, logitRows: 256 });
  const [sequence = { ids: [], from: 1 }] = sequences(config.vocabSize, [215]);
  const seen = await trainer.languageStep([sequence]);
  const gradients = await gradientsOf(trainer, model);
  const length = Math.hypot(...[...gradients.values()].map((gradient) => Math.hypot(...gradient)));
  const along = (distance: number) => {
    const moved = new Map(
      [...gradients].map(([name, gradient]) => {
        const before = weights.get(name) ?? new Float64Array();
        return [name, before.map((value, at) => value + (distance * (gradient[at] ?? 0)) / length)];
      }),
    );
    const logits = logitsOf(config, moved, sequence.ids);
    const terms = sequence.ids.slice(1).map((id, at) => -(logSoftmax(logits[at] ?? [])[id] ?? Number.NaN));
    return terms.reduce((sum, term) => sum + term, 0) / terms.length;
  };
  expect(seen.loss).toBeCloseTo(along(0), 5);
  expect(Math.abs((along(STEP) - along(-STEP)) / (2 * STEP) / length - 1)).toBeLessThan(RELATIVE_ERROR);
});
