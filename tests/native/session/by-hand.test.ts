/** What a person does between two items of a schedule: through the memory panel's commands, under the schedule's rules. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../../eventually.ts";
import { DEMO, GREEDY, openSession } from "./support.ts";

const ALL = {
  releaseKvCache: true,
  swap: { method: "copy" },
  reference: "host",
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
  singlePolicyCopy: "as_is",
} as const;

test("the panel's release and resume are the schedule's actions, and its rules hold", async () => {
  const { openRun, ask, go, run, rest, actions } = await openSession();
  await openRun({ swap: { method: "copy" } });
  await go({ kind: "steps", steps: 1 });

  const released = await ask("release", { consumer: "critic.weights", mode: "host" });
  expect(released).toMatchObject({ action: "release", method: "host" });
  expect(released.bytesFreed).toBeGreaterThan(400_000);
  const { memory } = await run();
  expect(memory["critic.weights"]).toMatchObject({ residency: "host", contents: "defined" });
  const { consumers } = await ask("observe");
  expect(consumers.find(({ consumer }) => consumer === "critic.weights")).toMatchObject({
    residency: "host",
    committedBytes: 0,
  });
  // Once: the command's own record is the run's.
  expect(actions().filter(({ consumer }) => consumer === "critic.weights")).toMatchObject([{ kind: "release" }]);

  const stopped = await go({ kind: "steps", steps: 1 });
  expect(stopped.cursor.run).toMatchObject({
    status: "failed",
    error: { code: "not_resident", hint: "add `load critic.weights` before it" },
  });
  expect(await ask("resume", { consumer: "critic.weights" })).toMatchObject({ method: "host" });
  // Unchanged since: nothing is copied this time.
  expect(await ask("release", { consumer: "critic.weights", mode: "clean" })).toMatchObject({ bytesCopied: 0 });
  await ask("act", { action: { kind: "load", consumer: "critic.weights" } });
  await ask("retry");
  expect((await rest()).cursor).toMatchObject({ step: 2, run: { status: "paused" } });

  await expect(ask("release", { consumer: "critic.weights", mode: "clean" })).rejects.toMatchObject({
    code: "not_clean",
  });
  await expect(ask("resume", { consumer: "critic.weights" })).rejects.toMatchObject({ code: "already_resident" });
  await expect(ask("release", { consumer: "context", mode: "discard" })).rejects.toMatchObject({ code: "not_found" });
});

test("an action that needs another one first names it, and is on the timeline all the same", async () => {
  const { openRun, ask, go, actions } = await openSession();
  await openRun(ALL);
  await go({ kind: "phase" });
  // The one copy of the policy is the engine's now.
  const swap = ask("swap", { source: { kind: "model", role: "policy" }, method: "copy" });
  await expect(swap).rejects.toMatchObject({
    code: "not_resident",
    hint: "first `resume policy.weights`, then `swap policy.weights from engine.weights (copy)`",
  });
  // What is prepared in the background may come last.
  const acted = actions().filter(({ kind }) => kind !== "prepare");
  expect(acted.at(-1)).toMatchObject({ kind: "swap", error: { code: "not_resident" } });
});

test("two undos at once are one: the second would take back what it does not name", async () => {
  const { openRun, ask, go, run, actions } = await openSession();
  await openRun({ swap: { method: "copy" } });
  await go({ kind: "steps", steps: 1 });
  await ask("act", { action: { kind: "release", consumer: "engine.kv_cache" } });
  await ask("act", { action: { kind: "offload", consumer: "reference.weights", to: "host" } });
  const [first, second] = await Promise.allSettled([ask("undo"), ask("undo")]);
  expect(first?.status).toBe("fulfilled");
  expect(second).toMatchObject({ reason: { code: "bad_argument" } });
  expect((await run()).undo).toEqual({ label: "release engine.kv_cache" });
  expect(
    actions()
      .filter(({ error }) => error === undefined)
      .at(-1),
  ).toMatchObject({
    kind: "load",
    consumer: "reference.weights",
    receipt: { consumer: "reference.weights" },
  });
});

test("undo takes back what was done by hand since the last item, the last first", async () => {
  const { openRun, ask, go, run } = await openSession();
  await openRun({ swap: { method: "copy" } });
  await go({ kind: "steps", steps: 1 });
  const { memory: before } = await run();
  expect((await run()).undo).toBeUndefined();
  await expect(ask("undo")).rejects.toMatchObject({ code: "bad_argument" });

  await ask("act", { action: { kind: "release", consumer: "engine.kv_cache" } });
  await ask("act", { action: { kind: "offload", consumer: "reference.weights", to: "disk" } });
  expect((await run()).undo).toEqual({ label: "offload reference.weights to disk" });
  await ask("undo");
  expect((await run()).undo).toEqual({ label: "release engine.kv_cache" });
  await ask("undo");
  const { memory, undo } = await run();
  expect(undo).toBeUndefined();
  for (const consumer of ["engine.kv_cache", "reference.weights"] as const) {
    expect(memory[consumer]).toMatchObject(before[consumer]);
  }
  const { consumers } = await ask("observe");
  for (const consumer of ["engine.kv_cache", "reference.weights"]) {
    expect(consumers.find((state) => state.consumer === consumer)).toMatchObject({ residency: "resident" });
  }

  // What was discarded is gone, a swap has overwritten something, and an item ends it.
  await ask("act", { action: { kind: "release", consumer: "engine.kv_cache" } });
  await ask("act", { action: { kind: "swap", from: "policy.weights", method: "copy" } });
  expect((await run()).undo).toBeUndefined();
  await ask("act", { action: { kind: "resume", consumer: "engine.kv_cache" } });
  expect((await run()).undo).toEqual({ label: "resume engine.kv_cache" });
  await go({ kind: "action" });
  expect((await run()).undo).toBeUndefined();
});

test("while it goes on, what would change memory is refused, and looking is not", async () => {
  const { openRun, ask, folder, rest } = await openSession();
  await openRun({ swap: { method: "copy" } });
  await ask("go", { goal: { kind: "play" } });
  for (const asked of [
    () => ask("release", { consumer: "critic.weights", mode: "host" }),
    () => ask("resume", { consumer: "engine.kv_cache" }),
    () => ask("act", { action: { kind: "release", consumer: "engine.kv_cache" } }),
    () => ask("trim"),
    () => ask("save_checkpoint", { path: join(folder, "saved") }),
    () => ask("generate", { prompt: { kind: "text", text: "1+1=" }, maxNewTokens: 4, sampling: GREEDY }),
    () => ask("measure_baseline"),
  ]) {
    await expect(asked()).rejects.toMatchObject({ code: "busy" });
  }
  const { engine } = await ask("observe");
  expect(engine).toMatchObject({ obstacle: { code: "busy", hint: "Pause the run." } });
  await ask("configure", { samplingHertz: 50 });
  expect((await ask("observe")).samplingHertz).toBe(50);
  await ask("pause_run");
  await rest();
});

test("what would take the device from the run says to end it first", async () => {
  const { openRun, ask } = await openSession();
  await openRun();
  for (const asked of [
    () => ask("open_checkpoint", { path: DEMO }),
    () => ask("load_model", { path: DEMO, role: "reward" }),
    () => ask("unload_model", { role: "policy" }),
    () => ask("measure_link"),
    () => ask("configure", { capacityBytes: 2 ** 28 }),
    () => ask("pause", { mode: "in_place" }),
    () => ask("continue"),
    () => ask("swap", { source: { kind: "checkpoint", path: DEMO } }),
  ]) {
    await expect(asked()).rejects.toMatchObject({ code: "busy", hint: "End the run first." });
  }
  await expect(openRun()).rejects.toMatchObject({ code: "busy" });
});

test("the policy can be tried between two items, and that changes nothing it learns", async () => {
  const { openRun, ask, go, events, policyHash } = await openSession();
  await openRun({ swap: { method: "copy" }, releaseKvCache: true });
  const prompt = { prompt: { kind: "text", text: "2+3=" }, maxNewTokens: 4, sampling: GREEDY } as const;
  await go({ kind: "steps", steps: 1 });
  const { engine } = await ask("observe");
  expect(engine).toMatchObject({ obstacle: { code: "not_resident", hint: "Resume engine.kv_cache." } });
  await ask("resume", { consumer: "engine.kv_cache" });
  const { generation } = await ask("generate", prompt);
  const said = await eventually(() => {
    const states = events.flatMap((event) => (event.event === "generation" ? event.generation : []));
    const last = states.findLast(({ id }) => id === generation);
    if (last?.finishedSeconds === undefined) throw new Error("not finished");
    return last.requests[0];
  });
  expect(said?.text).toMatch(/^\d+$/);
  await go({ kind: "steps", steps: 1 });

  const other = await openSession();
  await other.openRun({ swap: { method: "copy" }, releaseKvCache: true });
  await other.go({ kind: "steps", steps: 2 });
  expect(await policyHash()).toBe(await other.policyHash());
});

test("a run does not go on under a generation", async () => {
  const { openRun, ask } = await openSession();
  await openRun({ swap: { method: "copy" } });
  await ask("resume", { consumer: "engine.kv_cache" });
  await ask("resume", { consumer: "workspace" });
  const { generation } = await ask("generate", {
    prompt: { kind: "ids", ids: [5, 6, 7] },
    maxNewTokens: 60,
    batch: 256,
    pastEndOfText: true,
    sampling: GREEDY,
  });
  await expect(ask("go", { goal: { kind: "action" } })).rejects.toMatchObject({ code: "busy" });
  await ask("cancel_generation", { generation }).catch(() => undefined);
});

test("the policy can be saved while its weights are on the device, wherever the run stands", async () => {
  const { openRun, ask, go, policyHash, folder } = await openSession();
  await openRun(ALL);
  await go({ kind: "steps", steps: 1 });
  // The engine has the one copy, then the policy has it: the same weights.
  const hash = await policyHash();
  await ask("set_breakpoints", { breakpoints: [{ kind: "phase", work: "train_critic" }] });
  await go({ kind: "play" });
  expect(await policyHash()).toBe(hash);
  await ask("act", { action: { kind: "offload", consumer: "policy.weights", to: "host" } });
  await expect(ask("save_checkpoint", { path: join(folder, "away") })).rejects.toMatchObject({
    code: "not_resident",
    hint: "first `load policy.weights`",
  });
  await ask("undo");
  expect(await policyHash()).toBe(hash);
});

test("a disk that takes no backup is an error, and nothing is lost", async () => {
  const { openRun, ask, go, run, folder, policyHash } = await openSession();
  await openRun({ swap: { method: "copy" } });
  await go({ kind: "steps", steps: 1 });
  const hash = await policyHash();
  await rm(join(folder, "backups"), { recursive: true });
  await writeFile(join(folder, "backups"), "");
  await expect(ask("release", { consumer: "policy.weights", mode: "disk" })).rejects.toMatchObject({
    code: "backup_io",
  });
  expect((await run()).memory["policy.weights"]).toEqual({ residency: "resident", contents: "defined" });
  expect(await policyHash()).toBe(hash);
  await rm(join(folder, "backups"));
});
