/** Batches, sampling, stopping and the requests that are refused. */
import { describe, expect, test } from "vitest";
import { expectSameSums, failure } from "../support.ts";
import {
  expectSameAnswers,
  generateOne,
  goldenCases,
  LONG_KV_BYTES,
  LONGEST_SUM,
  longRequests,
  openEngine,
  prompts,
  request,
  start,
} from "./support.ts";

describe("batching", () => {
  test("a request gives the same alone and in any batch", async () => {
    const { checkpoint, engine } = await openEngine({ maxBatch: 8, prefillTokens: 32 });
    const requests = prompts(20, checkpoint.config.vocabSize).map((prompt, index) =>
      request(prompt, 5 + (index % 20), { temperature: index % 3, topP: 0.9, seed: index }),
    );
    const together = await start(engine, requests).done;
    for (const [index, one] of requests.entries()) {
      const alone = await generateOne(engine, one);
      expectSameAnswers(together.slice(index, index + 1), [alone]);
      expect(alone.finished).toMatchObject({ reason: "length", promptTokens: one.promptIds.length });
      expect(alone.finished?.newTokens).toBe(one.maxNewTokens);
    }
    expect(engine.observe()).toMatchObject({ status: "idle", runningRequests: 0, kv: { usedBlocks: 0 } });
  });

  test("more requests than the KV cache holds wait their turn", async () => {
    const { checkpoint, engine } = await openEngine({ kvCacheBytes: 256 * 1024 });
    const blocks = engine.observe().kv.blocks;
    const requests = prompts(blocks * 2, checkpoint.config.vocabSize).map((prompt) => request(prompt, 8));
    const outputs = await start(engine, requests).done;
    expect(outputs.every(({ tokens }) => tokens.length === 8)).toBe(true);
  });
});

describe("sampling", () => {
  test("the same seed gives the same tokens, another seed others", async () => {
    const { engine } = await openEngine();
    const sample = async (seed: number) =>
      (await generateOne(engine, request([5, 6, 7], 40, { temperature: 1, seed }))).tokens;
    expect(await sample(1)).toEqual(await sample(1));
    expect(await sample(1)).not.toEqual(await sample(2));
  });

  test("top-k 1 and a tiny top-p are greedy", async () => {
    const { engine } = await openEngine();
    const greedy = await generateOne(engine, request([9, 8, 7]));
    for (const narrow of [{ topK: 1 }, { topP: 1e-6 }]) {
      expect(
        (await generateOne(engine, request([9, 8, 7], 24, { temperature: 1, seed: 3, ...narrow }))).tokens,
      ).toEqual(greedy.tokens);
    }
  });

  test("tokens come as often as the model's probabilities say, and top-k and top-p keep to their sets", async () => {
    const { engine } = await openEngine();
    const promptIds = [11, 12, 13];
    const { lastLogits } = await engine.score(promptIds);
    const weights = Array.from(lastLogits, (logit) => Math.exp(logit));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const ranked = [...weights.keys()].sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0));
    const draws = 4000;
    const firstTokens = async (narrow: { topK?: number; topP?: number }) => {
      const requests = Array.from({ length: draws }, (_, seed) =>
        request(promptIds, 1, { temperature: 1, seed, ...narrow }),
      );
      return (await start(engine, requests).done).map(({ tokens }) => tokens[0] ?? -1);
    };

    const all = await firstTokens({});
    for (const token of ranked.slice(0, 3)) {
      const share = (weights[token] ?? 0) / total;
      // Four standard deviations.
      const slack = 4 * Math.sqrt((share * (1 - share)) / draws);
      expect(Math.abs(all.filter((drawn) => drawn === token).length / draws - share)).toBeLessThan(slack);
    }
    expect(new Set(await firstTokens({ topK: 3 }))).toEqual(new Set(ranked.slice(0, 3)));

    let sum = 0;
    const nucleus = ranked.filter((token) => {
      const inside = sum < 0.2 * total;
      sum += weights[token] ?? 0;
      return inside;
    });
    expect(new Set(await firstTokens({ topP: 0.2 }))).toEqual(new Set(nucleus));
  });

  test("log-probs are the model's own, whatever the sampling", async () => {
    const { engine } = await openEngine();
    const { tokens, logprobs } = await generateOne(engine, request([3, 4], 6, { temperature: 2, topK: 50, seed: 8 }));
    const scored = await engine.score([3, 4, ...tokens]);
    expectSameSums(Array.from(scored.logprobs.slice(1)), logprobs, LONGEST_SUM);
  });
});

describe("the end of a request", () => {
  test("a stop token ends it and is its last", async () => {
    const { engine } = await openEngine();
    const [golden] = await goldenCases("tiny-llama-gqa");
    const stop = golden?.greedy[5] ?? -1;
    const first = golden?.greedy.indexOf(stop) ?? -1;
    const output = await generateOne(engine, { ...request(golden?.prompt ?? []), stopTokenIds: [stop] });
    expect(output.tokens).toEqual(golden?.greedy.slice(0, first + 1));
    expect(output.finished?.reason).toBe("stop");
  });

  test("cancelling stops all requests of a generation and no other", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
    const cancelled = start(engine, longRequests());
    const kept = start(engine, [request([3], 40)]);
    await cancelled.tokens(1);
    engine.cancel(cancelled.generation);
    expect(new Set((await cancelled.done).map(({ finished }) => finished?.reason))).toEqual(new Set(["cancelled"]));
    expect((await kept.done)[0]?.finished?.reason).toBe("length");
    expect(engine.observe().kv.usedBlocks).toBe(0);
    expect(await failure(() => engine.cancel(cancelled.generation))).toMatchObject({ code: "not_found" });
    expect(await failure(() => engine.cancel(999))).toMatchObject({ code: "not_found" });
  });

  test("closing aborts what runs", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
    const running = start(engine, longRequests());
    await running.tokens(1);
    await engine.close();
    expect(new Set((await running.done).map(({ finished }) => finished?.reason))).toEqual(new Set(["aborted"]));
    expect(engine.observe().status).toBe("closed");
    expect(await failure(() => engine.generate([request([1])], () => {}))).toMatchObject({ code: "bad_argument" });
  });
});

describe("refused requests", () => {
  test.each([
    ["an empty prompt", request([]), { code: "bad_argument", field: "promptIds" }],
    ["a token outside of the vocabulary", request([320]), { code: "bad_argument", field: "promptIds" }],
    ["a negative token", request([-1]), { code: "bad_argument", field: "promptIds" }],
    ["half a token", request([1.5]), { code: "bad_argument", field: "promptIds" }],
    ["a negative count", request([1], -1), { code: "bad_argument", field: "maxNewTokens" }],
    ["a count that is no number", request([1], Number.NaN), { code: "bad_argument", field: "maxNewTokens" }],
    ["no new tokens", request([1], 0), { code: "bad_argument", field: "maxNewTokens" }],
    ["a negative temperature", request([1], 1, { temperature: -1 }), { code: "bad_argument" }],
    ["a top-p above 1", request([1], 1, { topP: 1.1 }), { code: "bad_argument" }],
    ["more than the context", request([1], 256), { code: "context_overflow" }],
    ["more than 2^53 tokens", request([1], Number.MAX_SAFE_INTEGER), { code: "context_overflow" }],
  ])("%s", async (_, bad, expected) => {
    const { engine } = await openEngine();
    expect(await failure(() => engine.generate([request([1]), bad], () => {}))).toMatchObject(expected);
    expect(engine.observe()).toMatchObject({ status: "idle", waitingRequests: 0 });
    expect((await generateOne(engine, request([1], 2))).tokens).toHaveLength(2);
  });

  test("a request that the KV cache can never hold says what it needs", async () => {
    const { engine } = await openEngine({ kvCacheBytes: 64 * 1024 });
    const { blocks, blockTokens } = engine.observe().kv;
    const refused = await failure(() => engine.generate([request([1], blocks * blockTokens)], () => {}));
    expect(refused).toMatchObject({ code: "kv_cache_too_small" });
    expect(refused.message).toContain(`${blocks + 1} blocks`);
    expect((await generateOne(engine, request([1], blocks * blockTokens - 1))).finished?.reason).toBe("length");
  });

  test("an engine whose KV cache holds no block cannot be made", async () => {
    expect(await failure(() => openEngine({ kvCacheBytes: 100 }))).toMatchObject({
      code: "kv_cache_too_small",
      field: "kvCacheBytes",
    });
  });
});
