/** A PPO run stepped by commands: goals, breakpoints, pausing, cancelling; and a window that reloads in the middle. */
import { expect, test } from "vitest";
import { itemsOf } from "../../../core/schedule/schedule.ts";
import { WORKS } from "../../../core/schedule/works.ts";
import { eventually } from "../../eventually.ts";
import { openSession } from "./support.ts";

const NO_SAMPLES = { sinceSeconds: 0, maxRows: 0 };
const REACHED = { status: "paused", reason: { kind: "reached" } };
const STRATEGIES = { swap: { method: "copy" }, reference: "host", releaseKvCache: true } as const;

async function uninterrupted(steps: number): Promise<string> {
  const other = await openSession();
  await other.openRun(STRATEGIES);
  await other.go({ kind: "steps", steps });
  return other.policyHash();
}

test("goes by action, by phase and by step, and `go` does not wait for it", async () => {
  const { openRun, go, ask, rest } = await openSession();
  const opened = await openRun(STRATEGIES);
  expect(opened.cursor).toMatchObject({ step: 0, index: 0, run: { reason: { kind: "not_started" } } });
  const items = itemsOf(opened.schedule);

  expect((await go({ kind: "action" })).cursor).toMatchObject({ index: 1, run: REACHED });
  const phase = (await go({ kind: "phase" })).cursor;
  expect(items[phase.index]).toMatchObject({ work: "score_policy" });
  const step = await go({ kind: "steps", steps: 1 });
  expect(step.cursor).toMatchObject({ step: 1, index: 0, run: REACHED });

  await ask("go", { goal: { kind: "steps", steps: 20 } });
  await expect(ask("go", { goal: { kind: "play" } })).rejects.toMatchObject({ code: "busy" });
  await ask("pause_run");
  expect((await rest()).cursor.run).toMatchObject({ status: "paused" });
});

test("every action of the schedule is on the timeline, with what it moved", async () => {
  const { openRun, go, actions, ask } = await openSession();
  await openRun(STRATEGIES);
  await go({ kind: "steps", steps: 2 });
  const labels = actions().map(({ label }) => label);
  expect(labels.slice(labels.lastIndexOf("resume engine.kv_cache"))).toEqual([
    "resume engine.kv_cache",
    "release engine.kv_cache",
    "load reference.weights",
    "offload reference.weights to host",
    "swap engine.weights from policy.weights (copy)",
  ]);
  expect(labels).toContain("set up policy.gradients");
  const swap = actions().at(-1);
  expect(swap).toMatchObject({ kind: "swap", consumer: "engine.weights", receipt: { method: "copy" } });
  expect(swap?.receipt?.bytesCopied).toBeGreaterThan(400_000);
  expect((await ask("history", NO_SAMPLES)).actions.map(({ label }) => label)).toEqual(labels);
});

test("stops at breakpoints on a phase, an action and a threshold of memory", async () => {
  const { openRun, go, ask } = await openSession();
  const { schedule } = await openRun(STRATEGIES);
  const items = itemsOf(schedule);
  const stopsAt = async (breakpoint: Parameters<typeof ask<"set_breakpoints">>[1]) => {
    await ask("set_breakpoints", breakpoint);
    const { cursor } = await go({ kind: "play" });
    expect(cursor.run).toMatchObject({ reason: { kind: "breakpoint", breakpoint: breakpoint?.breakpoints[0] } });
    return { item: items[cursor.index], before: items[cursor.index - 1], cursor };
  };
  const phase = await stopsAt({ breakpoints: [{ kind: "phase", work: "score_critic" }] });
  expect(phase.item).toMatchObject({ work: "score_critic" });
  const action = await stopsAt({ breakpoints: [{ kind: "action", action: "swap" }] });
  expect(action.item).toMatchObject({ kind: "action", action: { kind: "swap" } });

  // In the next rollout, the KV cache is what rises above this.
  const usedBytes = action.cursor.usedBytes + 2 ** 20;
  const memory = await stopsAt({ breakpoints: [{ kind: "memory", usedBytes }] });
  expect(memory.before).toMatchObject({ action: { kind: "resume", consumer: "engine.kv_cache" } });
  expect(memory.cursor.usedBytes).toBeGreaterThanOrEqual(usedBytes);
});

test("cancelled in any phase, it goes on and learns the same", async () => {
  const { openRun, ask, go, rest, policyHash } = await openSession();
  const { schedule } = await openRun(STRATEGIES);
  const items = itemsOf(schedule);
  for (const work of WORKS) {
    await ask("set_breakpoints", { breakpoints: [{ kind: "phase", work }] });
    const { cursor } = await rest();
    // What was cancelled last may have been over before it heard: the run stands at the next phase already then.
    if (items[cursor.index]?.work !== work) await go({ kind: "steps", steps: 1 });
    await ask("go", { goal: { kind: "phase" } });
    await ask("cancel_run");
    expect((await rest()).cursor.run.status, work).toBe("paused");
  }
  await ask("set_breakpoints", { breakpoints: [] });
  if ((await rest()).cursor.step === 0) await go({ kind: "steps", steps: 1 });
  expect((await rest()).cursor).toMatchObject({ step: 1, index: 0 });
  expect(await policyHash()).toBe(await uninterrupted(1));
});

test("paused between two items with a pace, it waits for nobody", async () => {
  const { openRun, ask, rest } = await openSession();
  await openRun(STRATEGIES);
  await ask("set_pace", { itemSeconds: 10 });
  await ask("go", { goal: { kind: "play" } });
  await ask("pause_run");
  expect(await rest()).toMatchObject({
    itemSeconds: 10,
    cursor: { index: 1, run: { status: "paused", reason: { kind: "asked" } } },
  });
});

test("a window that reloads while it plays misses no step", async () => {
  const { openRun, ask, rest, session } = await openSession();
  const { id } = await openRun(STRATEGIES);
  await ask("go", { goal: { kind: "play" } });
  await eventually(async () => expect((await ask("history", NO_SAMPLES)).steps.length).toBeGreaterThan(1));

  // As the window does it: listen, ask for all there is, and put both together.
  const told: number[] = [];
  session.subscribe((event) => {
    if (event.event === "step") told.push(event.step.step);
  });
  const { run } = await ask("observe");
  const { steps } = await ask("history", NO_SAMPLES);
  expect(run).toMatchObject({ id, cursor: { run: { status: "running" } } });
  await eventually(() => expect(told.length).toBeGreaterThan(1));
  await ask("pause_run");
  const { cursor } = await rest();
  expect([...new Set([...steps.map(({ step }) => step), ...told])]).toEqual(
    Array.from({ length: cursor.step }, (_, n) => n),
  );

  const [first] = steps;
  expect(first?.phases.map(({ work }) => work)).toEqual(WORKS);
  expect(first?.samples[0]).toMatchObject({ prompt: expect.stringMatching(/^\d+\+\d+=$/) });
  for (const { holders, peakBytes } of first?.phases ?? []) {
    expect(Object.values(holders).reduce((sum, bytes) => sum + bytes, 0)).toBe(peakBytes);
  }
});

test("ends in the middle of playing, by a command or with the session", async () => {
  const { openRun, ask } = await openSession();
  await openRun(STRATEGIES);
  await ask("go", { goal: { kind: "play" } });
  await ask("close_run");
  expect((await ask("observe")).run).toBeUndefined();
  for (const command of ["retry", "pause_run", "cancel_run", "undo", "close_run"] as const) {
    await expect(ask(command), command).rejects.toMatchObject({ code: "not_found" });
  }
  const { id } = await openRun(STRATEGIES);
  expect(id).toBe(2);
  // The session is closed while it plays.
  await ask("go", { goal: { kind: "play" } });
});
