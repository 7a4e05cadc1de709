/** Opening, replacing and reconfiguring: a failure leaves what was loaded before as it was. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../../eventually.ts";
import { fakeAddon, nativeError } from "./fake-addon.ts";
import { DEMO, LLAMA, openTestSession, QWEN, type TestSession, type TestSessionOptions } from "./open-session.ts";

let close = async () => {};
afterEach(() => close());

function open(options?: TestSessionOptions): TestSession {
  const test = openTestSession(options);
  close = () => test.session.close();
  return test;
}

async function loadedName({ ask }: TestSession): Promise<string | undefined> {
  const { engine } = await ask("observe");
  return engine.status === "empty" ? undefined : engine.checkpoint.name;
}

it("opens a checkpoint with all of its memory resident and remembers it", async () => {
  const test = open();
  const receipt = await test.ask("open_checkpoint", { path: LLAMA });
  expect(receipt).toMatchObject({ action: "load", consumer: "engine.weights" });
  const state = await test.ask("observe");
  expect(state.engine).toMatchObject({ status: "idle", checkpoint: { name: "tiny-llama-gqa", family: "llama" } });
  expect(state.engine).not.toHaveProperty("obstacle");
  expect(state.consumers.map(({ consumer, residency }) => [consumer, residency])).toEqual([
    ["engine.weights", "resident"],
    ["engine.kv_cache", "resident"],
    ["workspace", "resident"],
  ]);
  expect(state.recents).toEqual([expect.objectContaining({ path: LLAMA, available: true })]);
});

it("replaces the engine and closes the one before", async () => {
  const test = open();
  await test.ask("open_checkpoint", { path: LLAMA });
  await test.ask("open_checkpoint", { path: QWEN });
  expect(await loadedName(test)).toBe("tiny-qwen3-qknorm");
  const { device } = await test.ask("observe");
  expect(device.committedBytes).toBe(10_000 + 5_000 + 1_000);
});

describe("a checkpoint that cannot be opened leaves the one before loaded and able to generate", () => {
  it.each([
    ["a folder that is not there", "/nonexistent/model", () => {}, "checkpoint_unreadable"],
    [
      "a load that fails",
      QWEN,
      (t: TestSession) => t.addon.failNext("load", nativeError("weights_mismatch", "no such tensor")),
      "weights_mismatch",
    ],
    [
      "an engine that cannot be made",
      QWEN,
      (t: TestSession) => t.addon.failNext("createEngine", nativeError("unsupported", "no")),
      "unsupported",
    ],
  ] as const)("%s", async (_, path, arrange, code) => {
    const test = open();
    await test.ask("open_checkpoint", { path: LLAMA });
    arrange(test);
    await expect(test.ask("open_checkpoint", { path })).rejects.toMatchObject({ code });
    const state = await test.ask("observe");
    expect(state.engine).toMatchObject({ status: "idle", checkpoint: { name: "tiny-llama-gqa" } });
    expect(state.engine).not.toHaveProperty("obstacle");
    expect(state.device.committedBytes).toBe(16_000);
    expect(test.events).toContainEqual(
      expect.objectContaining({
        event: "action",
        action: expect.objectContaining({ kind: "load", error: expect.objectContaining({ code }) }),
      }),
    );
  });
});

describe("when both do not fit", () => {
  // Weights 10000, cache 5000, workspace 1000: two of them need 32000.
  it("makes room with what costs nothing first, then puts the weights on the host", async () => {
    const test = open({ capacityBytes: 17_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    test.addon.log.length = 0;
    await test.ask("open_checkpoint", { path: QWEN });
    expect(test.addon.log.slice(0, 4)).toEqual([
      "release engine.kv_cache discard",
      "release workspace discard",
      "release engine.weights host",
      "resume engine.weights",
    ]);
    expect(await loadedName(test)).toBe("tiny-qwen3-qknorm");
  });

  it("does not touch the weights when dropping caches is enough", async () => {
    const test = open({ capacityBytes: 26_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    test.addon.log.length = 0;
    await test.ask("open_checkpoint", { path: QWEN });
    expect(test.addon.log).not.toContain("release engine.weights discard");
    expect(await loadedName(test)).toBe("tiny-qwen3-qknorm");
  });

  it("restores everything it released when the new one fails after all", async () => {
    const test = open({ capacityBytes: 17_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    const before = (await test.ask("observe")).consumers;
    test.addon.failNext("createEngine", nativeError("unsupported", "no"));
    await expect(test.ask("open_checkpoint", { path: QWEN })).rejects.toMatchObject({ code: "unsupported" });
    expect(test.addon.log).toContain("release engine.weights host");
    expect((await test.ask("observe")).consumers).toEqual(before);
    expect(await loadedName(test)).toBe("tiny-llama-gqa");
  });

  it("leaves released what a person had released", async () => {
    const test = open({ capacityBytes: 17_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    await test.ask("release", { consumer: "engine.kv_cache", mode: "discard" });
    test.addon.failNext("createEngine", nativeError("unsupported", "no"));
    await expect(test.ask("open_checkpoint", { path: QWEN })).rejects.toMatchObject({ code: "unsupported" });
    const { consumers } = await test.ask("observe");
    expect(consumers.find(({ consumer }) => consumer === "engine.kv_cache")?.residency).toBe("released");
    expect(consumers.find(({ consumer }) => consumer === "engine.weights")?.residency).toBe("resident");
  });

  it("keeps no copy of weights that were discarded: there is nothing in them", async () => {
    const test = open({ capacityBytes: 17_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    await test.ask("release", { consumer: "engine.weights", mode: "discard" });
    await test.ask("resume", { consumer: "engine.weights" });
    await test.ask("open_checkpoint", { path: QWEN });
    expect(await loadedName(test)).toBe("tiny-qwen3-qknorm");
  });

  it("refuses before anything moves what could never fit, and says who holds the rest", async () => {
    const test = open({ capacityBytes: 26_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    await test.ask("load_model", { path: QWEN, role: "policy" });
    test.addon.log.length = 0;
    await expect(test.ask("configure", { kvCacheBytes: 9_000 })).rejects.toMatchObject({
      code: "out_of_memory",
      data: { freeBytes: 16_000, requestedBytes: 19_000, holders: [{ consumer: "policy.weights", bytes: 10_000 }] },
    });
    expect(test.addon.log).toEqual([]);
  });
});

it("refuses to replace an engine that is generating", async () => {
  const test = open();
  await test.ask("open_checkpoint", { path: LLAMA });
  await test.ask("generate", { prompt: { kind: "ids", ids: [1] }, maxNewTokens: 3, sampling: GREEDY });
  await expect(test.ask("open_checkpoint", { path: QWEN })).rejects.toMatchObject({ code: "busy" });
  test.addon.step(3);
  await test.ask("open_checkpoint", { path: QWEN });
});

it("reports a damaged tokenizer when the checkpoint is opened, and keeps the one before", async () => {
  const test = open();
  await test.ask("open_checkpoint", { path: LLAMA });
  const folder = mkdtempSync(join(tmpdir(), "tideline-tokenizer-"));
  const { cpSync } = await import("node:fs");
  cpSync(QWEN, folder, { recursive: true });
  writeFileSync(join(folder, "tokenizer.json"), "{ this is not JSON");
  await expect(test.ask("open_checkpoint", { path: folder })).rejects.toMatchObject({
    data: { file: join(folder, "tokenizer.json") },
  });
  expect(await loadedName(test)).toBe("tiny-llama-gqa");
});

describe("configure", () => {
  it("makes a new engine for another KV cache size", async () => {
    const test = open();
    await test.ask("open_checkpoint", { path: LLAMA });
    const state = await test.ask("configure", { kvCacheBytes: 7_000 });
    expect(state.consumers.find(({ consumer }) => consumer === "engine.kv_cache")?.reservedBytes).toBe(7_000);
  });

  it("takes a larger capacity and a cache that needs it in one go", async () => {
    const test = open({ capacityBytes: 17_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    const state = await test.ask("configure", { capacityBytes: 60_000, kvCacheBytes: 40_000 });
    expect(state.device.capacityBytes).toBe(60_000);
  });

  it("keeps capacity and cache when one of them cannot be had", async () => {
    const test = open({ capacityBytes: 17_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    await expect(test.ask("configure", { capacityBytes: 20_000, kvCacheBytes: 40_000 })).rejects.toMatchObject({
      code: "out_of_memory",
    });
    const state = await test.ask("observe");
    expect(state.device.capacityBytes).toBe(17_000);
    expect(await loadedName(test)).toBe("tiny-llama-gqa");
  });

  it("keeps the cache when a smaller capacity does not hold the rest", async () => {
    const test = open({ capacityBytes: 30_000 });
    await test.ask("open_checkpoint", { path: LLAMA });
    // Weights and cache fit into it; the workspace does not.
    await expect(test.ask("configure", { capacityBytes: 14_500, kvCacheBytes: 4_000 })).rejects.toThrow();
    const state = await test.ask("observe");
    expect(state.device.capacityBytes).toBe(30_000);
    expect(state.consumers.find(({ consumer }) => consumer === "engine.kv_cache")?.reservedBytes).toBe(5_000);
  });

  it("is done also where it cannot be remembered, and says that", async () => {
    const test = open();
    const file = join(test.folder, "settings.json");
    rmSync(file);
    mkdirSync(file);
    await test.ask("configure", { samplingHertz: 200 });
    await test.ask("open_checkpoint", { path: LLAMA });
    const { actions } = await test.ask("history", { sinceSeconds: 0, maxRows: 0 });
    const forgotten = ["remember the settings", `${file} is a folder, not a file`];
    expect(actions.map(({ label, error }) => [label, error?.message])).toEqual([
      forgotten,
      ["sampling at 200 Hz", undefined],
      forgotten,
      ["open tiny-llama-gqa", undefined],
    ]);
    expect(await loadedName(test)).toBe("tiny-llama-gqa");
  });

  it("stays on its device when another cannot be opened", async () => {
    const test = open();
    await test.ask("open_checkpoint", { path: LLAMA });
    test.addon.failNext("openDevice", nativeError("device_unavailable", "no driver"));
    await expect(test.ask("configure", { device: "cuda:0" })).rejects.toMatchObject({ code: "device_unavailable" });
    expect((await test.ask("observe")).device.name).toBe("host");
    expect(await loadedName(test)).toBe("tiny-llama-gqa");
  });

  it("moves to another device with its checkpoint", async () => {
    const test = open();
    await test.ask("open_checkpoint", { path: LLAMA });
    const state = await test.ask("configure", { device: "cuda:0" });
    expect(state.device.name).toBe("cuda:0");
    expect(test.addon.log).toContain("close device host");
    expect(await loadedName(test)).toBe("tiny-llama-gqa");
  });

  it("is remembered at the next start", async () => {
    const first = open();
    await first.ask("configure", { capacityBytes: 50_000, samplingHertz: 200 });
    await first.session.close();
    const { openSettings } = await import("../../../electron/session/settings.ts");
    expect(openSettings(first.folder).backend).toMatchObject({ capacityBytes: 50_000, samplingHertz: 200 });
  });
});

describe("the first checkpoint of a start", () => {
  it("is the one used last", async () => {
    const before = open();
    await before.ask("open_checkpoint", { path: LLAMA });
    await before.session.close();
    const test = open({ folder: before.folder });
    await test.session.openFirst();
    expect(await loadedName(test)).toBe("tiny-llama-gqa");
  });

  it("is the demo when nothing was used before", async () => {
    const test = open();
    await test.session.openFirst();
    expect(await loadedName(test)).toBe("demo");
    expect((await test.ask("observe")).demoCheckpoint).toBe(DEMO);
  });

  it("is none when it cannot be opened, and the session says why", async () => {
    const test = open({ addon: fakeAddon({ weightBytes: 1e9 }) });
    await test.session.openFirst();
    expect(await loadedName(test)).toBeUndefined();
    expect((await test.ask("history", { sinceSeconds: 0, maxRows: 0 })).actions).toEqual([
      expect.objectContaining({ kind: "load", error: expect.objectContaining({ code: "out_of_memory" }) }),
    ]);
  });

  it("is none that begins after the session was closed", async () => {
    const before = open();
    await before.ask("open_checkpoint", { path: LLAMA });
    await before.session.close();
    const test = open({ folder: before.folder });
    test.addon.holdLoads();
    const opening = test.session.openFirst();
    await eventually(async () => expect((await test.ask("observe")).operations[0]?.doneBytes).toBe(5_000));
    const closing = test.session.close();
    test.addon.finishLoads();
    await Promise.all([opening, closing]);
    expect(test.addon.log.slice(test.addon.log.indexOf("close engine.weights"))).toEqual([
      "close engine.weights",
      "close device host",
    ]);
  });

  it("falls back to the host when the device of the settings is gone", async () => {
    const addon = fakeAddon();
    addon.failNext("openDevice", nativeError("device_unavailable", "no driver"));
    const test = open({ addon, device: "cuda:0" });
    expect((await test.ask("observe")).device.name).toBe("host");
  });
});

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };
