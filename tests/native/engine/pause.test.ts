/** Pausing in SGLang's three modes: what happens to the requests, their KV cache and their tokens. */
import { describe, expect, test } from "vitest";
import type { NativeEngine, ReleaseMode } from "../../../native/addon.d.ts";
import { failure, withFolder } from "../support.ts";
import {
  expectRecomputed,
  type Generated,
  LONG_KV_BYTES,
  longRequests,
  openEngine,
  request,
  start,
} from "./support.ts";

const SAMPLED = { temperature: 1, topP: 0.95 };

const answers = (outputs: readonly Generated[]) => outputs.map(({ tokens, logprobs }) => ({ tokens, logprobs }));

/** The long requests, undisturbed. */
async function undisturbed(): Promise<readonly Generated[]> {
  const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
  return start(engine, longRequests(SAMPLED)).done;
}

/** The long requests, stopped somewhere in the middle of their tokens. */
async function pausedInTheMiddle(engine: NativeEngine, mode: "retract" | "in_place") {
  const running = start(engine, longRequests(SAMPLED));
  await running.tokens(100);
  await engine.pause(mode);
  expect(engine.observe().status).toBe("paused");
  expect(running.outputs.some(({ finished }) => finished === undefined)).toBe(true);
  return running;
}

describe("abort", () => {
  test("ends every request, running and waiting", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES, maxBatch: 16 });
    const running = start(engine, longRequests());
    await running.tokens(20);
    await engine.pause("abort");
    expect(new Set((await running.done).map(({ finished }) => finished?.reason))).toEqual(new Set(["aborted"]));
    expect(engine.observe()).toMatchObject({ runningRequests: 0, waitingRequests: 0, kv: { usedBlocks: 0 } });
    await engine.continue();
    expect(engine.observe().status).toBe("idle");
  });

  test("a score that was under way is refused, not lost", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES, prefillTokens: 1 });
    const running = start(engine, longRequests());
    await running.tokens(1);
    const score = failure(() => engine.score(Array.from({ length: 200 }, (_, at) => at)));
    // The score is one of the engine's requests once it has reached it; none of the others ends this early.
    const underWay = () => engine.observe().runningRequests + engine.observe().waitingRequests;
    while (underWay() === running.outputs.length) await new Promise((resolve) => setTimeout(resolve, 1));
    await engine.pause("abort");
    expect(await score).toMatchObject({ code: "cancelled" });
    expect(await failure(() => engine.score([1, 2]))).toMatchObject({ code: "busy" });
  });
});

describe("retract", () => {
  test("drops the KV cache, and the requests go on where they were", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
    const running = await pausedInTheMiddle(engine, "retract");
    expect(engine.observe()).toMatchObject({ runningRequests: 0, kv: { usedBlocks: 0 } });
    await engine.continue();
    await expectRecomputed(engine, longRequests(SAMPLED), await running.done, undisturbed);
  });

  test("even when the KV cache was discarded meanwhile", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
    const running = await pausedInTheMiddle(engine, "retract");
    await engine.release("kv_cache", { mode: "discard" });
    expect(await failure(() => engine.continue())).toMatchObject({ code: "not_resident" });
    expect(engine.observe().status).toBe("paused");
    await engine.resume("kv_cache");
    await engine.continue();
    await expectRecomputed(engine, longRequests(SAMPLED), await running.done, undisturbed);
  });
});

describe("in place", () => {
  test("keeps the KV cache, and the requests go on with the same tokens", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
    const running = await pausedInTheMiddle(engine, "in_place");
    expect(engine.observe().kv.usedBlocks).toBeGreaterThan(0);
    await engine.continue();
    expect(answers(await running.done)).toEqual(answers(await undisturbed()));
  });

  test.each<ReleaseMode>(["host", "disk"])("even when everything was released to %s meanwhile", async (mode) => {
    await withFolder(async (directory) => {
      const { device, engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
      const running = await pausedInTheMiddle(engine, "in_place");
      await engine.release("kv_cache", { mode, directory });
      await engine.release("weights", { mode, directory });
      await engine.release("workspace", { mode: "discard" });
      expect(device.observe().committedBytes).toBe(0);
      for (const tag of ["kv_cache", "weights", "workspace"] as const) {
        expect(await failure(() => engine.continue())).toMatchObject({ code: "not_resident" });
        await engine.resume(tag);
      }
      await engine.continue();
      expect(answers(await running.done)).toEqual(answers(await undisturbed()));
    });
  });

  test("discarding live KV blocks is refused and says what to do", async () => {
    const { engine } = await openEngine({ kvCacheBytes: LONG_KV_BYTES });
    const running = await pausedInTheMiddle(engine, "in_place");
    const refused = await failure(() => engine.release("kv_cache", { mode: "discard" }));
    expect(refused).toMatchObject({ code: "busy" });
    expect(refused.hint).toMatch(/retract/);
    await engine.continue();
    expect(answers(await running.done)).toEqual(answers(await undisturbed()));
  });
});

test("requests that arrive while paused wait", async () => {
  const { engine } = await openEngine();
  await engine.pause("in_place");
  const running = start(engine, [request([1], 3)]);
  expect(engine.observe()).toMatchObject({ status: "paused", waitingRequests: 1, generatedTokens: 0 });
  await engine.continue();
  expect((await running.done)[0]?.tokens).toHaveLength(3);
});

test("continuing what is not paused is refused", async () => {
  const { engine } = await openEngine();
  expect(await failure(() => engine.continue())).toMatchObject({ code: "bad_argument" });
});
