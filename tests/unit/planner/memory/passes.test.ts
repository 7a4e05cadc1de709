/**
 * A tape is recorded once for many batches and cards: what it says of others is what a tape of those says. What it says is
 * in order: more of a batch takes no less, and so does keeping what could be computed again.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PassAnswer, type PassQuestion, passOf } from "../../../../core/planner/memory/launcher/passes.ts";
import { modelNamed } from "../../../../core/planner/models/catalogue.ts";
import { sumOf } from "../../../../core/planner/provenance.ts";

/** Grouped and latent attention, windows, experts, biases, tied embeddings, capped logits. */
const MODELS = ["Qwen2.5-0.5B", "Llama-3.1-8B", "Gemma-2-2B", "Mistral-7B-v0.1", "DeepSeek-V2-Lite", "Qwen3-30B-A3B"];

const asked = fc.record({
  // One row alone has no gaps between its rows.
  sequences: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 40 })),
  // Around the windows of 4096, and around the rows from which a sum is shared among thread blocks.
  length: fc.oneof(fc.integer({ min: 2, max: 200 }), fc.integer({ min: 900, max: 1100 }), fc.constantFrom(4096, 8192)),
  multiprocessors: fc.constantFrom(82, 132, 188),
  cublasBytes: fc.constantFrom(8_519_680, 2 ** 25),
});
const pass = fc.record({
  kind: fc.constantFrom("score" as const, "train" as const),
  head: fc.constantFrom("language" as const, "value" as const),
  masked: fc.boolean(),
  attention: fc.constantFrom("flash" as const, "eager" as const, "sdpa" as const),
  autocast: fc.boolean(),
  checkpointing: fc.boolean(),
  itemBytes: fc.constantFrom(2, 4),
  quantisedBytes: fc.constant(undefined),
  loraRank: fc.constantFrom(undefined, 8),
  tensorParallel: fc.constant(1),
  lossRows: fc.constantFrom(undefined, 64, 512),
}) satisfies fc.Arbitrary<Omit<PassQuestion, "sequences" | "length" | "multiprocessors" | "cublasBytes">>;

test.each(MODELS)("%s: a tape recorded for one batch and card, read for another", (name) => {
  const model = modelNamed(name);
  fc.assert(
    fc.property(pass, asked, asked, (options, first, second) => {
      passOf(model, { ...options, ...first });
      const read = passOf(model, { ...options, ...second });
      // Another object is another model, of which nothing is remembered.
      expect(read).toEqual(passOf({ ...model }, { ...options, ...second }));
    }),
    { numRuns: 100 },
  );
});

describe.each(MODELS)("%s", (name) => {
  const model = modelNamed(name);
  const bytesOf = (question: PassQuestion) => totalBytes(passOf(model, question));

  test("more rows and longer ones take no less", () => {
    fc.assert(
      fc.property(pass, asked, fc.integer({ min: 1, max: 500 }), (options, batch, more) => {
        const question = { ...options, ...batch };
        const bytes = bytesOf(question);
        expect(bytesOf({ ...question, sequences: question.sequences + 1 })).toBeGreaterThanOrEqual(bytes);
        expect(bytesOf({ ...question, length: question.length + more })).toBeGreaterThanOrEqual(bytes);
      }),
    );
  });

  test("layers that are computed again take no more, but for what computing them again needs", () => {
    fc.assert(
      fc.property(pass, asked, (options, batch) => {
        const question = { ...options, ...batch };
        const inputBytes = question.sequences * question.length * model.hiddenSize * question.itemBytes;
        expect(bytesOf({ ...question, checkpointing: true })).toBeLessThanOrEqual(
          bytesOf({ ...question, checkpointing: false }) + inputBytes + SECOND_THREAD_BYTES,
        );
      }),
    );
  });
});

/** What cuBLASLt keeps for a thread that multiplies with biases: the backward one does when it computes a layer again. */
const SECOND_THREAD_BYTES = 2 ** 20;

function totalBytes({ weightsBytes, adapterBytes, gradientBytes, activations, logits }: PassAnswer): number {
  return weightsBytes + adapterBytes + gradientBytes + sumOf(activations) + sumOf(logits);
}
