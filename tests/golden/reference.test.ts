/** The float64 reference against the fixtures, which transformers computed: only then is it fit to judge the engine. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { comparePrompt, worst } from "../../electron/golden/compare.ts";
import { readGolden } from "../../electron/golden/golden-file.ts";
import { type Checkpoint, openCheckpoint } from "../../electron/session/checkpoint.ts";
import { decodeFloats, encodeFloats } from "./floats.ts";
import { readWeights, referenceGolden } from "./models.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures/checkpoints");
/** The fixtures give six decimals, and transformers computes norms and rotations in float32 even in a float64 model. */
const ROUNDING = 5e-6;

describe("agrees with transformers to five decimals", () => {
  test.each(readdirSync(FIXTURES))("%s", async (name) => {
    const opened = await openCheckpoint(join(FIXTURES, name));
    const checkpoint = castWhole(opened);
    const { cases } = await readGolden(checkpoint.path);
    const prompts = cases.map(({ prompt }) => prompt);
    const golden = referenceGolden(checkpoint, await readWeights(checkpoint), prompts, cases[0]?.greedy.length ?? 0);
    const comparisons = cases.map((expected, index) => {
      const computed = golden.cases[index];
      const greedy = computed?.greedy.map((tokenId, step) => ({
        tokenId,
        logprob: computed.greedy_logprobs[step] ?? Number.NaN,
      }));
      return comparePrompt(
        expected,
        {
          lastLogits: computed?.last_logits ?? [],
          promptLogprobs: computed?.prompt_logprobs ?? [],
          greedy: greedy ?? [],
        },
        ROUNDING,
      );
    });
    expect(worst(comparisons).failure).toBeUndefined();
  });
});

/** The fixtures' models were cast as a whole before they were widened to float64: their rotation frequencies too. */
function castWhole(checkpoint: Checkpoint): Checkpoint {
  const { config, dtype } = checkpoint;
  return { ...checkpoint, config: { ...config, rope: { ...config.rope, frequencyDtype: dtype } } };
}

test("floats are stored as the formats say", () => {
  const values = Float64Array.from([0, 1, -2, 0.5, 1.5, 65504, 2 ** -14, 2 ** -24, -0.333251953125]);
  expect(decodeFloats(encodeFloats(values, "F16"), "F16")).toEqual(values);
  // Halfway between two: the even one.
  expect([...decodeFloats(encodeFloats(Float64Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11), "F16"), "F16")]).toEqual([
    1,
    1 + 2 ** -9,
  ]);
  expect(Buffer.from(encodeFloats(Float64Array.of(1, -2), "F16")).toString("hex")).toBe("003c00c0");
  expect(Buffer.from(encodeFloats(Float64Array.of(1, -2), "BF16")).toString("hex")).toBe("803f00c0");
  expect([...decodeFloats(encodeFloats(Float64Array.of(1.00390625, 1.01171875), "BF16"), "BF16")]).toEqual([
    1, 1.015625,
  ]);
});
