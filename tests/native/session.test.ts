/** The session over the real addon: what the fake one of the unit tests only imitates. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type CommandAnswer, type CommandInput, type CommandName, commands } from "../../core/contract/commands.ts";
import type { GenerationState } from "../../core/contract/timeline.ts";
import { TidelineError } from "../../core/errors.ts";
import { MIB } from "../../core/units.ts";
import { Session } from "../../electron/session/session.ts";
import { openSettings } from "../../electron/session/settings.ts";
import { eventually } from "../eventually.ts";
import { roomFor, testDevice } from "./support.ts";

const DEMO = resolve("assets/demo");
const LLAMA = resolve("tests/fixtures/checkpoints/tiny-llama-gqa");
const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

let folder: string;
let session: Session;
let generations: GenerationState[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tideline-native-session-"));
});
afterEach(async () => {
  await session.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(capacityBytes: number, kvCacheBytes = 8 * MIB): void {
  const settings = openSettings(folder);
  settings.saveBackend({ device: testDevice(), capacityBytes: roomFor(capacityBytes), kvCacheBytes });
  session = new Session({ settings, backupsFolder: join(folder, "backups"), checkItself: true });
  generations = [];
  session.subscribe((event) => {
    if (event.event === "generation") generations.push(event.generation);
  });
}

async function ask<Name extends CommandName>(command: Name, params?: CommandInput<Name>): Promise<CommandAnswer<Name>> {
  const answer = await session.handle({ id: 1, command, params: params ?? {} });
  if (!answer.ok) throw new TidelineError(answer.error);
  return commands[command].answer.parse(answer.value) as CommandAnswer<Name>;
}

async function generate(request: CommandInput<"generate">): Promise<GenerationState> {
  const { generation } = await ask("generate", request);
  return eventually(() => {
    const found = generations.findLast(({ id }) => id === generation);
    if (found?.finishedSeconds === undefined) throw new Error("not finished");
    return found;
  });
}

/** What the engine says to a fixed prompt: the same as long as its weights are. */
async function continuation(): Promise<string> {
  const last = await generate({ prompt: { kind: "ids", ids: [5, 6, 7] }, maxNewTokens: 12, sampling: GREEDY });
  return last.requests.map(({ text, reason }) => `${text} (${reason})`).join("\n");
}

it("ends a story without showing the token that ends it, in the time its tokens took", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: DEMO });
  const story = await generate({
    prompt: { kind: "text", text: "Once upon a time" },
    maxNewTokens: 1000,
    sampling: GREEDY,
  });
  expect(story.requests[0]?.reason).toBe("stop");
  expect(story.requests[0]?.text).toMatch(/^[^<>]*[.!"]$/);
  const seconds = (story.finishedSeconds ?? 0) - story.startedSeconds;
  expect(story.tokensPerSecond).toBeCloseTo(story.newTokens / seconds, 3);
});

it("goes on past the end of text when asked to", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: DEMO });
  const prompt = { kind: "text", text: "Once upon a time" } as const;
  const long = await generate({ prompt, maxNewTokens: 300, sampling: GREEDY, pastEndOfText: true });
  expect(long.requests).toMatchObject([{ reason: "length", newTokens: 300 }]);
});

it("says the same after every way to release and resume", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: DEMO });
  const before = await continuation();
  for (const mode of ["host", "clean", "disk", "clean"] as const) {
    await ask("release", { consumer: "engine.weights", mode });
    await expect(continuation()).rejects.toMatchObject({ code: "not_resident" });
    await ask("resume", { consumer: "engine.weights" });
    expect(await continuation(), mode).toBe(before);
  }
  await ask("release", { consumer: "engine.kv_cache", mode: "discard" });
  await ask("resume", { consumer: "engine.kv_cache" });
  expect(await continuation()).toBe(before);
});

it("replaces a checkpoint where only one fits, and brings the first back when the second is not sound", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: DEMO });
  const { device, consumers } = await ask("observe");
  const demoSays = await continuation();
  // Room for what is there and nothing beside it.
  await ask("configure", { capacityBytes: device.committedBytes });
  const { engine } = await ask("observe");
  await ask("save_checkpoint", { path: join(folder, "copy") });
  await ask("open_checkpoint", { path: join(folder, "copy") });
  expect(await continuation()).toBe(demoSays);
  await ask("open_checkpoint", { path: DEMO });

  await expect(ask("open_checkpoint", { path: await damagedCopy() })).rejects.toMatchObject({
    code: "weights_mismatch",
  });
  const after = await ask("observe");
  const brief = ({ consumer, residency, committedBytes }: (typeof consumers)[number]) => ({
    consumer,
    residency,
    committedBytes,
  });
  expect(after.consumers.map(brief)).toEqual(consumers.map(brief));
  expect(after.engine).toMatchObject({ checkpoint: engine.status === "empty" ? {} : engine.checkpoint });
  expect(await continuation()).toBe(demoSays);
});

it("refuses a checkpoint that could never fit and stays as it was", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: LLAMA });
  const before = await continuation();
  await ask("configure", { capacityBytes: 16 * MIB }).catch(() => undefined);
  await expect(ask("configure", { kvCacheBytes: 2048 * MIB })).rejects.toMatchObject({
    code: "out_of_memory",
    data: { requestedBytes: expect.any(Number), freeBytes: expect.any(Number) },
  });
  expect(await continuation()).toBe(before);
});

it("delivers samples of every consumer, and keeps them", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: LLAMA });
  await eventually(async () => {
    const { batches } = await ask("history", { sinceSeconds: 0, maxRows: 1_000 });
    const last = batches.at(-1);
    expect(last?.consumers).toEqual(["engine.weights", "engine.kv_cache", "workspace"]);
    expect(last?.samples).toHaveLength((last?.rows ?? 0) * (6 + 3 * 3));
  });
});

it("measures the device's link on request, gives its memory back and remembers what it found", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: LLAMA });
  const before = await continuation();
  const { device, consumers } = await ask("observe");

  const measuring = ask("measure_link");
  const { operations } = await ask("observe");
  expect(operations).toMatchObject([{ label: "measure the link", cancellable: true }]);
  const link = await measuring;

  expect(link.bytes).toBeGreaterThan(0);
  expect(2 * link.bytes).toBeLessThanOrEqual(device.freeBytes + device.heldBytes);
  for (const rate of [link.hostToDeviceBytesPerSecond, link.deviceToHostBytesPerSecond, link.memoryBytesPerSecond]) {
    // Memory of any machine there is: between 10 MB/s and 100 TB/s.
    expect(rate).toBeGreaterThan(1e7);
    expect(rate).toBeLessThan(1e14);
  }
  const after = await ask("observe");
  expect(after.device.committedBytes).toBe(device.committedBytes);
  expect(after.device.heldBytes).toBe(device.heldBytes);
  expect(after.device.hostBackupBytes).toBe(device.hostBackupBytes);
  expect(after.consumers).toEqual(consumers);
  expect(await continuation()).toBe(before);

  expect(after.devices.find(({ name }) => name === testDevice())?.link).toEqual(link);
  await session.close();
  open(64 * MIB);
  const { devices } = await ask("observe");
  expect(devices.find(({ name }) => name === testDevice())?.link).toEqual(link);
});

it("measures no link while the engine generates or memory is full, and stops when told to", async () => {
  open(64 * MIB);
  await ask("open_checkpoint", { path: DEMO });
  const { generation } = await ask("generate", {
    prompt: { kind: "ids", ids: [5, 6, 7] },
    maxNewTokens: 500,
    sampling: GREEDY,
    pastEndOfText: true,
  });
  await expect(ask("measure_link")).rejects.toMatchObject({ code: "busy" });
  await ask("cancel_generation", { generation });
  await eventually(async () => expect((await ask("observe")).engine).toMatchObject({ runningRequests: 0 }));

  const measuring = ask("measure_link");
  const { operations, device } = await ask("observe");
  await ask("cancel_operation", { id: operations[0]?.id ?? 0 });
  await expect(measuring).rejects.toMatchObject({ code: "cancelled" });

  await ask("configure", { capacityBytes: device.committedBytes });
  await expect(ask("measure_link")).rejects.toMatchObject({ code: "out_of_memory" });
  expect((await ask("observe")).devices.every(({ link }) => link === undefined)).toBe(true);
});

/** A checkpoint that reads well and lacks what its config asks for. */
async function damagedCopy(): Promise<string> {
  const { cpSync, readFileSync, writeFileSync } = await import("node:fs");
  const path = join(folder, "damaged");
  cpSync(DEMO, path, { recursive: true });
  const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8"));
  writeFileSync(
    join(path, "config.json"),
    JSON.stringify({ ...config, num_hidden_layers: config.num_hidden_layers + 1 }),
  );
  return path;
}
