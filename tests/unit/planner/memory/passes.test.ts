/** A tape is recorded once for many batches: what it says of another one is what a tape of that one says. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type PassQuestion, passOf } from "../../../../core/planner/memory/launcher/passes.ts";
import { modelNamed } from "../../../../core/planner/models/catalogue.ts";

/** Grouped and latent attention, windows, experts, biases, tied embeddings, capped logits. */
const MODELS = ["Qwen2.5-0.5B", "Llama-3.1-8B", "Gemma-2-2B", "Mistral-7B-v0.1", "DeepSeek-V2-Lite", "Qwen3-30B-A3B"];

const batch = fc.record({
  // One row alone has no gaps between its rows.
  sequences: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 40 })),
  // Around the windows of 4096, and around the rows from which a sum is shared among thread blocks.
  length: fc.oneof(fc.integer({ min: 2, max: 200 }), fc.integer({ min: 900, max: 1100 }), fc.constantFrom(4096, 8192)),
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
  multiprocessors: fc.constant(132),
  cublasBytes: fc.constant(2 ** 25),
}) satisfies fc.Arbitrary<Omit<PassQuestion, "sequences" | "length">>;

test.each(MODELS)("%s: a tape recorded for one batch, read for another", (name) => {
  const model = modelNamed(name);
  fc.assert(
    fc.property(pass, batch, batch, (asked, first, second) => {
      passOf(model, { ...asked, ...first });
      const read = passOf(model, { ...asked, ...second });
      // Another object is another model, of which nothing is remembered.
      expect(read).toEqual(passOf({ ...model }, { ...asked, ...second }));
    }),
    { numRuns: 100 },
  );
});
