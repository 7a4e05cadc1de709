/** A run takes the device from the workbench and gives it back, whatever becomes of the run. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../../eventually.ts";
import { roomFor } from "../support.ts";
import { DEMO, DEMO_PPO, GREEDY, openSession, RUN_CHUNK_BYTES, type TestSession } from "./support.ts";

/** What the engine says to a fixed prompt, and what lies on the device. */
async function seen({ ask, events }: TestSession) {
  const { generation } = await ask("generate", {
    prompt: { kind: "ids", ids: [5, 6, 7] },
    maxNewTokens: 12,
    sampling: GREEDY,
  });
  const text = await eventually(() => {
    const states = events.flatMap((event) => (event.event === "generation" ? event.generation : []));
    const last = states.findLast(({ id }) => id === generation);
    if (last?.finishedSeconds === undefined) throw new Error("not finished");
    return last.requests[0]?.text;
  });
  const { device, models, consumers } = await ask("observe");
  return {
    text,
    device: device.name,
    capacityBytes: device.capacityBytes,
    models,
    consumers: consumers.map(({ consumer, residency, committedBytes }) => ({ consumer, residency, committedBytes })),
  };
}

async function withModels(): Promise<TestSession> {
  const test = await openSession();
  await test.ask("open_checkpoint", { path: DEMO });
  await test.ask("load_model", { path: DEMO, role: "policy" });
  return test;
}

test("the workbench's models leave the device to the run, and come back after it", async () => {
  const session = await withModels();
  const { ask, openRun, go, workload } = session;
  const before = await seen(session);
  const capacityBytes = roomFor(24 * 2 ** 20);
  const run = await openRun({}, { seed: 7, capacityBytes });
  expect(run).toMatchObject({ id: 1, workload: { path: workload, name: "small", seed: 7, rollouts: 32 } });

  const during = await ask("observe");
  expect(during.device.capacityBytes).toBe(capacityBytes);
  expect(during.engine).toMatchObject({ checkpoint: { name: "policy" } });
  expect(during.models.map(({ role }) => role)).toEqual(["policy", "critic", "reference"]);
  const held = during.consumers.reduce((sum, { committedBytes }) => sum + committedBytes, 0);
  // Four copies of the policy's size and nothing of the workbench.
  expect(held).toBeLessThanOrEqual(4 * Math.max(2 ** 19, RUN_CHUNK_BYTES));

  await go({ kind: "steps", steps: 1 });
  await go({ kind: "phase" });
  const recent = { sinceSeconds: 0, maxRows: 0 };
  expect((await ask("history", recent)).endedRuns).toEqual([]);
  await ask("close_run");
  expect(await seen(session)).toEqual(before);
  // What the run did stays on the timeline.
  const [ended] = (await ask("history", recent)).endedRuns;
  expect(ended?.map(({ step }) => step)).toEqual([...Array.from({ length: 9 }, () => 0), 1]);
});

test("the timeline goes on through both handovers, at the rate that was chosen meanwhile", async () => {
  const { ask, openRun, go, events } = await withModels();
  const sampled = (consumer: string) =>
    eventually(() => {
      const batches = events.flatMap((event) => (event.event === "samples" ? event.batch : []));
      expect(batches.at(-1)?.consumers).toContain(consumer);
      return batches.at(-1)?.consumers;
    });
  expect(await sampled("engine.kv_cache")).not.toContain("critic.weights");
  await openRun();
  await go({ kind: "phase" });
  await sampled("critic.weights");
  await ask("configure", { samplingHertz: 200 });
  await ask("close_run");
  await eventually(() => {
    const last = events.findLast((event) => event.event === "samples");
    expect(last?.batch.consumers).toEqual(["engine.weights", "engine.kv_cache", "workspace", "policy.weights"]);
  });
  expect((await ask("observe")).samplingHertz).toBe(200);
});

test("a run that cannot be opened leaves the workbench as it was, and says why", async () => {
  const session = await withModels();
  const { ask, openRun, workload, folder, actions } = session;
  const before = await seen(session);
  const strategies = { kind: "strategies", strategies: {} } as const;
  await expect(ask("open_run", { workload: join(folder, "none.json"), schedule: strategies })).rejects.toMatchObject({
    code: "not_found",
    hint: expect.stringContaining("workload"),
  });
  const contradiction = { swap: { method: "share" }, releaseEngineWeights: true } as const;
  await expect(openRun(contradiction)).rejects.toMatchObject({
    code: "bad_argument",
    data: { field: "releaseEngineWeights" },
  });
  const { schedule } = await openAndClose(session);
  const withoutSwap = schedule.phases.map((phase) =>
    phase.work === "update_weights" ? { ...phase, before: [] } : phase,
  );
  await expect(
    ask("open_run", { workload, schedule: { kind: "schedule", schedule: { ...schedule, phases: withoutSwap } } }),
  ).rejects.toMatchObject({ code: "contents_undefined" });
  const records = actions().length;
  expect(await seen(session)).toEqual(before);
  // So far nothing was taken off the device at all.
  expect(actions()).toHaveLength(records);

  const capacityBytes = Math.max(2 ** 20, 2 * RUN_CHUNK_BYTES);
  await expect(openRun({}, { capacityBytes })).rejects.toMatchObject({
    code: "out_of_memory",
    data: {
      capacityBytes,
      holders: expect.arrayContaining([expect.objectContaining({ consumer: "policy.weights" })]),
    },
  });
  expect(await seen(session)).toEqual(before);
  await mkdir(join(folder, "empty"));
  await expect(openRun({}, { checkpoints: { critic: join(folder, "empty") } })).rejects.toMatchObject({
    code: "checkpoint_invalid",
  });
  expect(await seen(session)).toEqual(before);
});

async function openAndClose({ openRun, ask }: TestSession) {
  const run = await openRun({ swap: { method: "copy" } });
  await ask("close_run");
  return run;
}

test("opening can be cancelled, and is not begun while the engine generates", async () => {
  const session = await withModels();
  const { ask, openRun } = session;
  const before = await seen(session);
  const opening = openRun();
  const [operation] = (await ask("observe")).operations;
  if (operation === undefined) throw new Error("opening is shown");
  await ask("cancel_operation", { id: operation.id });
  await expect(opening).rejects.toMatchObject({ code: "cancelled" });
  expect(await seen(session)).toEqual(before);

  const { generation } = await ask("generate", {
    prompt: { kind: "ids", ids: [5, 6, 7] },
    maxNewTokens: 400,
    batch: 16,
    pastEndOfText: true,
    sampling: GREEDY,
  });
  await expect(openRun()).rejects.toMatchObject({ code: "busy" });
  await ask("cancel_generation", { generation }).catch(() => undefined);
});

test("what cannot come back is told, and the session goes on without it", async () => {
  const session = await openSession();
  const { ask, openRun, actions, folder } = session;
  const path = join(folder, "copy");
  await ask("open_checkpoint", { path: DEMO });
  await ask("save_checkpoint", { path });
  await ask("open_checkpoint", { path });
  await openRun();
  await writeFile(join(path, "model.safetensors"), "");
  await expect(ask("close_run")).rejects.toMatchObject({ code: expect.stringMatching(/^checkpoint_/) });
  expect(actions().at(-1)).toMatchObject({ kind: "load", label: "open copy again", error: {} });
  const { run, engine } = await ask("observe");
  expect({ run, engine }).toEqual({ run: undefined, engine: { status: "empty" } });
  await ask("open_checkpoint", { path: DEMO });
});

test("a workload can be read without running it; the demo's is the one that is read without a name", async () => {
  const { ask, workload } = await openSession();
  expect(await ask("read_workload", { path: workload })).toMatchObject({
    name: "small",
    task: "addition",
    rollouts: 32,
    roles: { engine: "fp32", policy: "fp32", reward: "rule" },
  });
  const { demoWorkload } = await ask("observe");
  expect(await ask("read_workload")).toMatchObject({ path: demoWorkload, name: "demo-ppo" });
});

test("roles are taken from other folders, and what is missing is said with the role", async () => {
  const { ask, openRun, folder, workload } = await openSession();
  const reward = join(DEMO_PPO, "reward");
  const asked = await ask("read_workload", { path: workload, checkpoints: { reward } });
  expect(asked).toMatchObject({ checkpoints: { reward }, roles: { reward: "fp32" } });
  const run = await openRun({}, { checkpoints: { reward } });
  expect(run.workload).toEqual(asked);
  await ask("close_run");

  const critic = join(folder, "nowhere");
  const missing = { code: "checkpoint_unreadable", message: `critic: ${critic} does not exist` };
  await expect(ask("read_workload", { checkpoints: { critic } })).rejects.toMatchObject(missing);
  await expect(openRun({}, { checkpoints: { critic } })).rejects.toMatchObject(missing);
});
