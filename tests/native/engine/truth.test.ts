/** The engine's numbers against transformers' in float64, for each family and however the work is cut into steps. */
import { describe, expect, test } from "vitest";
import { FIXTURES, generateOne, goldenCases, openEngine, request } from "./support.ts";

const TOLERANCE = { float32: 2e-4, float16: 2e-3, bfloat16: 2e-3 } as const;

function worstError(ours: ArrayLike<number>, truth: readonly number[]): number {
  expect(ours).toHaveLength(truth.length);
  return truth.reduce((worst, value, at) => Math.max(worst, Math.abs(value - (ours[at] ?? Number.NaN))), 0);
}

describe.each(FIXTURES)("%s", (fixture) => {
  test.each([
    ["in one step", { prefillTokens: 512 }],
    ["in chunks of 3 tokens", { prefillTokens: 3, maxBatch: 2 }],
    ["on one thread", { threads: 1 }],
  ])("logits, log-probs and greedy tokens are the reference's, %s", async (_, options) => {
    const { checkpoint, engine } = await openEngine({ fixture, ...options });
    const tolerance = TOLERANCE[checkpoint.dtype];
    for (const golden of await goldenCases(fixture)) {
      const { lastLogits, logprobs } = await engine.score(golden.prompt);
      expect(worstError(lastLogits, golden.last_logits)).toBeLessThan(tolerance);
      expect(worstError(logprobs, golden.prompt_logprobs)).toBeLessThan(tolerance);

      const { tokens, logprobs: chosen } = await generateOne(engine, request(golden.prompt, golden.greedy.length));
      const unclear = golden.greedy_margin.findIndex((margin) => margin <= tolerance);
      const clear = unclear === -1 ? golden.greedy.length : unclear;
      expect(clear).toBeGreaterThan(0);
      expect(tokens.slice(0, clear)).toEqual(golden.greedy.slice(0, clear));
      expect(worstError(chosen.slice(0, clear), golden.greedy_logprobs.slice(0, clear))).toBeLessThan(tolerance);
    }
  });

  test("stored in another type, the answers move no further than that type's precision", async () => {
    const [golden] = await goldenCases(fixture);
    if (golden === undefined) throw new Error("the fixture has no case");
    for (const [dtype, tolerance] of [
      ["float32", 2e-3],
      ["bfloat16", 0.25],
      ["float16", 0.05],
    ] as const) {
      const { engine } = await openEngine({ fixture, dtype });
      expect(worstError((await engine.score(golden.prompt)).lastLogits, golden.last_logits)).toBeLessThan(tolerance);
    }
  });

  test("a KV cache in bfloat16 takes half the bytes and changes the logits a little", async () => {
    const [golden] = (await goldenCases(fixture)).slice(-1);
    if (golden === undefined) throw new Error("the fixture has no case");
    const exact = await openEngine({ fixture });
    const half = await openEngine({ fixture, kvDtype: "bfloat16" });
    expect(half.engine.observe().kv.bytesPerToken * 2).toBe(exact.engine.observe().kv.bytesPerToken);
    expect(worstError((await half.engine.score(golden.prompt)).lastLogits, golden.last_logits)).toBeLessThan(0.1);
  });
});
