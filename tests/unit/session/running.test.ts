/** What a person sees while things run: actions, operations, generations, obstacles, samples. */
import { afterEach, describe, expect, it } from "vitest";
import type { SampleBatch } from "../../../native/addon.d.ts";
import { eventually } from "../../eventually.ts";
import { FIRST_FAKE_TOKEN, nativeError } from "./fake-addon.ts";
import { DEMO, LLAMA, openTestSession, QWEN, type TestSession, type TestSessionOptions } from "./open-session.ts";

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };
const PROMPT = { kind: "ids" as const, ids: [1, 2] };

let close = async () => {};
afterEach(() => close());

async function openWith(path: string, options?: TestSessionOptions): Promise<TestSession> {
  const test = openTestSession(options);
  close = () => test.session.close();
  await test.ask("open_checkpoint", { path });
  return test;
}

function actionsOf({ events }: TestSession) {
  return events.flatMap((event) => (event.event === "action" ? [event.action] : []));
}

describe("actions", () => {
  it("records what was done and what it cost", async () => {
    const test = await openWith(LLAMA);
    const receipt = await test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    expect(actionsOf(test).at(-1)).toMatchObject({
      kind: "release",
      consumer: "engine.kv_cache",
      label: "release engine.kv_cache (discard)",
      milliseconds: 1,
      receipt,
    });
  });

  it("records failures too", async () => {
    const test = await openWith(LLAMA);
    await test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    await expect(test.ask("release", { consumer: "engine.kv_cache", mode: "discard" })).rejects.toMatchObject({
      code: "already_released",
    });
    expect(actionsOf(test).at(-1)).toMatchObject({ kind: "release", error: { code: "already_released" } });
  });

  it("refuses a consumer that holds nothing", async () => {
    const test = await openWith(LLAMA);
    await expect(test.ask("resume", { consumer: "activations" })).rejects.toMatchObject({ code: "not_found" });
  });

  it("loads, swaps to and unloads a model beside the engine", async () => {
    const test = await openWith(LLAMA);
    await test.ask("load_model", { path: QWEN, role: "policy" });
    expect((await test.ask("observe")).models).toMatchObject([{ role: "policy", consumer: "policy.weights" }]);
    await expect(test.ask("load_model", { path: QWEN, role: "policy" })).rejects.toMatchObject({ code: "busy" });
    await test.ask("swap", { source: { kind: "model", role: "policy" } });
    expect((await test.ask("observe")).engine).toMatchObject({
      checkpoint: { name: "tiny-qwen3-qknorm" },
      weightsVersion: 2,
    });
    await test.ask("unload_model", { role: "policy" });
    expect((await test.ask("observe")).models).toEqual([]);
    expect(actionsOf(test).at(-1)).toMatchObject({ kind: "unload", receipt: { bytesFreed: 10_000 } });
  });
});

describe("operations", () => {
  it("can be watched and cancelled while they run", async () => {
    const test = await openWith(LLAMA);
    test.addon.holdLoads();
    const opening = test.ask("open_checkpoint", { path: QWEN });
    opening.catch(() => {});
    const operation = await eventually(async () => {
      const [running] = (await test.ask("observe")).operations;
      expect(running).toMatchObject({ doneBytes: 5_000, totalBytes: 10_000, cancellable: true });
      return running;
    });
    await test.ask("cancel_operation", { id: operation?.id ?? -1 });
    test.addon.finishLoads();
    await expect(opening).rejects.toMatchObject({ code: "cancelled" });
    const state = await test.ask("observe");
    expect(state.operations).toEqual([]);
    expect(state.engine).toMatchObject({ checkpoint: { name: "tiny-llama-gqa" } });
  });

  it("run one after another in the order in which they were asked for", async () => {
    const test = await openWith(LLAMA);
    test.addon.holdLoads();
    const opening = test.ask("open_checkpoint", { path: QWEN });
    const releasing = test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    const generating = test.ask("generate", { prompt: PROMPT, maxNewTokens: 1, sampling: GREEDY });
    await eventually(async () => expect((await test.ask("observe")).operations[0]?.doneBytes).toBe(5_000));
    expect(test.addon.log).not.toContain("generate 1");
    test.addon.finishLoads();
    await Promise.all([opening, releasing, generating]);
    expect(test.addon.log.slice(-2)).toEqual(["release engine.kv_cache discard", "generate 1"]);
  });

  it("that wait are cancelled without having begun", async () => {
    const test = await openWith(LLAMA);
    test.addon.holdLoads();
    const opening = test.ask("open_checkpoint", { path: QWEN });
    const releasing = test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    releasing.catch(() => {});
    const waiting = (await test.ask("observe")).operations[1];
    await test.ask("cancel_operation", { id: waiting?.id ?? -1 });
    await eventually(async () => expect((await test.ask("observe")).operations[0]?.doneBytes).toBe(5_000));
    test.addon.finishLoads();
    await opening;
    await expect(releasing).rejects.toMatchObject({ code: "cancelled" });
    expect((await test.ask("observe")).consumers.every(({ residency }) => residency === "resident")).toBe(true);
    // The wait was none of its doing.
    expect(actionsOf(test).at(-1)).toMatchObject({ kind: "release", milliseconds: 0, error: { code: "cancelled" } });
  });

  it("that are over cannot be cancelled", async () => {
    const test = await openWith(LLAMA);
    await expect(test.ask("cancel_operation", { id: 1 })).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("generations", () => {
  const generationsOf = ({ events }: TestSession) =>
    events.flatMap((event) => (event.event === "generation" ? [event.generation] : []));

  it("stream as text of the checkpoint's tokenizer", async () => {
    const test = await openWith(DEMO);
    await test.ask("generate", { prompt: { kind: "text", text: "The tide" }, maxNewTokens: 40, sampling: GREEDY });
    test.addon.step(40);
    const last = generationsOf(test).at(-1);
    expect(last).toMatchObject({
      newTokens: 40,
      checkpointName: "demo",
      requests: [{ prompt: "The tide", newTokens: 40, reason: "length" }],
    });
    expect(last?.finishedSeconds).toBeGreaterThan(0);
    const { openTokenizer } = await import("../../../electron/session/tokenizer.ts");
    const tokenizer = await openTokenizer({ path: DEMO, hasTokenizer: true });
    expect(last?.requests[0]?.text).toBe(tokenizer?.decode(Array.from({ length: 40 }, (_, n) => FIRST_FAKE_TOKEN + n)));
  });

  it("show token ids where there is no tokenizer, and refuse text", async () => {
    const test = await openWith(LLAMA);
    await test.ask("generate", { prompt: PROMPT, maxNewTokens: 3, sampling: GREEDY, batch: 2 });
    test.addon.step(3);
    const last = generationsOf(test).at(-1);
    expect(last?.requests.map(({ prompt, text }) => [prompt, text])).toEqual([
      ["1 2", "3 4 5"],
      ["1 2", "3 4 5"],
    ]);
    await expect(
      test.ask("generate", { prompt: { kind: "text", text: "hello" }, maxNewTokens: 1, sampling: GREEDY }),
    ).rejects.toMatchObject({ code: "bad_argument" });
  });

  it("are told at most about 20 times a second, the last state always", async () => {
    const test = await openWith(LLAMA);
    await test.ask("generate", { prompt: PROMPT, maxNewTokens: 500, sampling: GREEDY });
    for (let token = 0; token < 500; token++) test.addon.step(1);
    const told = generationsOf(test);
    expect(told.at(-1)).toMatchObject({ newTokens: 500, requests: [{ reason: "length" }] });
    expect(told.length).toBeLessThan(50);
  });

  it("end when they are cancelled", async () => {
    const test = await openWith(LLAMA);
    const { generation } = await test.ask("generate", { prompt: PROMPT, maxNewTokens: 9, sampling: GREEDY });
    test.addon.step(2);
    await test.ask("cancel_generation", { generation });
    expect(generationsOf(test).at(-1)).toMatchObject({ newTokens: 2, requests: [{ reason: "cancelled" }] });
    await expect(test.ask("cancel_generation", { generation })).rejects.toMatchObject({ code: "not_found" });
  });

  it("have numbers of their own, though every engine counts from one", async () => {
    const test = await openWith(LLAMA);
    const first = await test.ask("generate", { prompt: PROMPT, maxNewTokens: 1, sampling: GREEDY });
    test.addon.step(1);
    await test.ask("open_checkpoint", { path: QWEN });
    const second = await test.ask("generate", { prompt: PROMPT, maxNewTokens: 9, sampling: GREEDY });
    expect(second.generation).not.toBe(first.generation);
    await test.ask("cancel_generation", second);
    expect(generationsOf(test).at(-1)).toMatchObject({ id: second.generation, requests: [{ reason: "cancelled" }] });
  });

  it("are there for a window that opens late", async () => {
    const test = await openWith(LLAMA);
    await test.ask("generate", { prompt: PROMPT, maxNewTokens: 1, sampling: GREEDY });
    test.addon.step(1);
    const { generations } = await test.ask("history", { sinceSeconds: 0, maxRows: 0 });
    expect(generations).toEqual([expect.objectContaining({ newTokens: 1 })]);
  });
});

describe("obstacles say why the engine cannot generate, and what to do", () => {
  const obstacle = async ({ ask }: TestSession) => {
    const { engine } = await ask("observe");
    return engine.status === "empty" ? undefined : engine.obstacle;
  };

  it("while memory is released", async () => {
    const test = await openWith(LLAMA);
    expect(await obstacle(test)).toBeUndefined();
    await test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    expect(await obstacle(test)).toMatchObject({ code: "not_resident", hint: "Resume engine.kv_cache." });
    await test.ask("release", { consumer: "engine.weights", mode: "host" });
    expect(await obstacle(test)).toMatchObject({ code: "not_resident", hint: "Resume engine.weights." });
    await test.ask("resume", { consumer: "engine.weights" });
    await test.ask("resume", { consumer: "engine.kv_cache" });
    expect(await obstacle(test)).toBeUndefined();
  });

  it("after the weights were discarded, until they are written", async () => {
    const test = await openWith(LLAMA);
    await test.ask("release", { consumer: "engine.weights", mode: "discard" });
    await test.ask("resume", { consumer: "engine.weights" });
    expect(await obstacle(test)).toMatchObject({ code: "contents_undefined" });
    await test.ask("swap", { source: { kind: "checkpoint", path: LLAMA } });
    expect(await obstacle(test)).toBeUndefined();
  });

  it("while it is paused", async () => {
    const test = await openWith(LLAMA);
    await test.ask("pause", { mode: "in_place" });
    expect(await obstacle(test)).toMatchObject({ code: "busy", hint: "Continue it to generate." });
    await test.ask("continue");
    expect(await obstacle(test)).toBeUndefined();
  });
});

it("pushes one state for a burst of changes", async () => {
  const test = await openWith(LLAMA);
  await eventually(() => expect(test.events.some(({ event }) => event === "state")).toBe(true));
  const before = test.events.filter(({ event }) => event === "state").length;
  for (let turn = 0; turn < 20; turn++) {
    await test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    await test.ask("resume", { consumer: "engine.kv_cache" });
  }
  await eventually(() => expect(test.events.filter(({ event }) => event === "state").length).toBeGreaterThan(before));
  expect(test.events.filter(({ event }) => event === "state").length - before).toBeLessThan(10);
});

describe("samples", () => {
  const batch = (from: number, rows: number, consumers: string[]): SampleBatch => {
    const columns = 6 + 3 * consumers.length;
    const samples = new Float64Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      samples[row * columns] = from + row;
      for (const index of consumers.keys()) samples.set([10, 20 + index, 30], row * columns + 6 + 3 * index);
    }
    return { consumers, rows, samples, dropped: 1 };
  };

  it("are told, counted and kept for a window that opens late", async () => {
    const test = await openWith(LLAMA);
    test.addon.sample(batch(100, 5000, ["engine.weights"]));
    test.addon.sample(batch(5100, 10, ["engine.weights", "workspace"]));
    expect(test.events.filter(({ event }) => event === "samples")).toHaveLength(2);
    expect((await test.ask("observe")).droppedSamples).toBe(2);
    const { batches } = await test.ask("history", { sinceSeconds: 4000, maxRows: 1_000_000 });
    const times = batches.flatMap(({ consumers, rows, samples }) =>
      Array.from({ length: rows }, (_, row) => samples[row * (6 + 3 * consumers.length)]),
    );
    expect(times).toEqual(Array.from({ length: 1110 }, (_, index) => 4000 + index));
    const newest = await test.ask("history", { sinceSeconds: 0, maxRows: 15 });
    expect(newest.batches.map(({ rows }) => rows)).toEqual([5, 10]);
  });

  it("sum the two regions that one consumer has while a checkpoint is replaced", async () => {
    const test = await openWith(LLAMA);
    test.addon.sample(batch(1, 1, ["engine.weights", "workspace", "engine.weights"]));
    expect(test.events.at(-1)).toMatchObject({
      event: "samples",
      batch: { consumers: ["engine.weights", "workspace"], samples: [1, 0, 0, 0, 0, 0, 20, 42, 60, 10, 21, 30] },
    });
  });
});

it("closes in order: the engine before the models that it may read, the device last", async () => {
  const test = await openWith(LLAMA);
  await test.ask("load_model", { path: QWEN, role: "reference" });
  test.addon.log.length = 0;
  await test.session.close();
  close = async () => {};
  expect(test.addon.log).toEqual([
    "close engine.weights",
    "close engine.kv_cache",
    "close workspace",
    "close reference.weights",
    "close device host",
  ]);
});

it("keeps errors of the addon whole", async () => {
  const test = await openWith(LLAMA);
  await test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
  test.addon.failNext(
    "resume",
    nativeError("out_of_memory", "no room", {
      requestedBytes: 5,
      freeBytes: 1,
      holders: [{ consumer: "policy.weights", bytes: 4 }],
    }),
  );
  await expect(test.ask("resume", { consumer: "engine.kv_cache" })).rejects.toMatchObject({
    data: {
      code: "out_of_memory",
      requestedBytes: 5,
      freeBytes: 1,
      holders: [{ consumer: "policy.weights", bytes: 4 }],
    },
  });
});
