/** A run that does not go smoothly: missing memory, failures, cancelling. It stops where it is, typed, and goes on. */
import { mkdir, rm } from "node:fs/promises";
import { expect, test } from "vitest";
import { type Cursor, itemAt } from "../../../core/schedule/cursor.ts";
import type { Schedule } from "../../../core/schedule/schedule.ts";
import { WORKS } from "../../../core/schedule/works.ts";
import { demoWorkload, policyHash, REWARD_MODEL, scheduleOf, start } from "./support.ts";

const small = { rollouts: 32, epochs: 1, miniBatches: 2 };
const strategies = { swap: { method: "copy" }, reference: "host" };
const reached: Cursor["run"] = { status: "paused", reason: { kind: "reached" } };

async function uninterrupted(steps: number): Promise<string> {
  const workload = await demoWorkload(small);
  const started = await start(workload, scheduleOf(workload, strategies));
  await started.run.go({ kind: "steps", steps });
  return policyHash(started);
}

test("a schedule whose phase misses something is refused before anything is loaded, with the action", async () => {
  const workload = await demoWorkload(small);
  const schedule = scheduleOf(workload, strategies);
  const phases = schedule.phases.map((phase) => (phase.work === "score_reference" ? { ...phase, before: [] } : phase));
  const broken: Schedule = { ...schedule, phases };
  await expect(start(workload, broken)).rejects.toMatchObject({
    data: { code: "not_resident", hint: "add `load reference.weights` before it" },
  });
});

test("a schedule that rewards otherwise than the workload is refused", async () => {
  const byRule = await demoWorkload(small);
  const byModel = await demoWorkload({ ...small, roles: { ...byRule.settings.roles, reward: REWARD_MODEL } });
  await expect(start(byRule, scheduleOf(byModel, strategies))).rejects.toThrow("and the workload none");
  await expect(start(byModel, scheduleOf(byRule, strategies))).rejects.toThrow("rewards by a rule");
});

test("a phase that misses what was released by hand does not start; after bringing it back, retry does", async () => {
  const workload = await demoWorkload(small);
  const started = await start(workload, scheduleOf(workload, strategies));
  const { run } = started;
  await run.go({ kind: "phase" });
  await run.act({ kind: "offload", consumer: "critic.weights", to: "host" });
  const { run: state } = await run.go({ kind: "steps", steps: 1 });
  expect(state).toMatchObject({
    status: "failed",
    error: { code: "not_resident", hint: "add `load critic.weights` before it" },
  });
  expect(run.records.phases.at(-1)?.work).toBe("score_critic");
  await run.act({ kind: "load", consumer: "critic.weights" });
  expect((await run.retry()).run).toEqual(reached);
  expect(await policyHash(started)).toBe(await uninterrupted(1));
});

test.each([
  ["that wait on the host", { optimizerOnHost: true }],
  ["that are streamed", { optimizerOnHost: true, optimizerStreamed: true }],
  ["that stay", {}],
])(
  "optimizers %s are taken by hand before their first update, and given up again: there is nothing to keep",
  async (_, set) => {
    const workload = await demoWorkload(small);
    const started = await start(workload, scheduleOf(workload, { ...strategies, ...set }));
    const { run } = started;
    const consumer = "policy.optimizer";
    const place = run.memory[consumer].residency;
    await run.go({ kind: "phase" });
    await run.act({ kind: "load", consumer });
    if (place === "resident") await run.act({ kind: "offload", consumer, to: "disk" });
    else await run.undo();
    expect(run.memory[consumer].residency).toBe(place === "resident" ? "disk" : place);
    if (place === "resident") await run.act({ kind: "load", consumer });
    expect((await run.go({ kind: "steps", steps: 1 })).run).toEqual(reached);
    expect(await policyHash(started)).toBe(await uninterrupted(1));
  },
);

test("a reward that is no number stops the run in its phase, and the weights stay", async () => {
  const workload = await demoWorkload(small);
  let broken = true;
  const task = {
    ...workload.task,
    reward: (prompt: string, response: string) => (broken ? Number.NaN : workload.task.reward(prompt, response)),
  };
  const started = await start({ ...workload, task }, scheduleOf(workload, strategies));
  const before = await policyHash(started);
  const { run } = await started.run.go({ kind: "steps", steps: 1 });
  expect(run).toMatchObject({ status: "failed", error: { code: "not_finite", tensor: "rewards" } });
  expect(started.run.records.phases.at(-1)?.work).toBe("score_reward");
  expect(await policyHash(started)).toBe(before);
  broken = false;
  expect((await started.run.retry()).run).toEqual(reached);
  expect(await policyHash(started)).toBe(await uninterrupted(1));
});

test.each([
  { failing: "first", at: 1, engine: "defined" },
  { failing: "second", at: 2, engine: "stale" },
])(
  "the $failing update that fails leaves the engine's copy $engine, and adds no gradients to those of the next attempt",
  async ({ at, engine }) => {
    const workload = await demoWorkload(small);
    const started = await start(workload, scheduleOf(workload, strategies));
    const { trainer } = started.backend.models.roles.policy;
    const step = trainer.optimizerStep.bind(trainer);
    let calls = 0;
    const optimizerStep: typeof step = async (options) => {
      calls += 1;
      if (calls === at) throw Object.assign(new Error("out of memory"), { code: "out_of_memory" });
      return step(options);
    };
    // The addon's methods are read-only, but an object's own property comes before them.
    Object.defineProperty(trainer, "optimizerStep", { value: optimizerStep });
    const { run } = await started.run.go({ kind: "steps", steps: 1 });
    expect(run).toMatchObject({ status: "failed", error: { code: "out_of_memory" } });
    expect(started.run.memory["engine.weights"].contents).toBe(engine);
    expect((await started.run.retry()).run).toEqual(reached);
    expect(await policyHash(started)).toBe(await uninterrupted(1));
  },
);

test("out of memory during training keeps the updates that were completed, and retry does only the others", async () => {
  const workload = await demoWorkload(small);
  const started = await start(workload, scheduleOf(workload, strategies));
  const { backend } = started;
  const update = backend.updatePolicy.bind(backend);
  let calls = 0;
  backend.updatePolicy = (...given) => {
    calls += 1;
    if (calls === 2) throw Object.assign(new Error("out of memory"), { code: "out_of_memory" });
    return update(...given);
  };
  const { run } = await started.run.go({ kind: "steps", steps: 1 });
  expect(run).toMatchObject({ status: "failed", error: { code: "out_of_memory" } });
  expect((await started.run.retry()).run).toEqual(reached);
  expect(calls).toBe(3);
  expect(await policyHash(started)).toBe(await uninterrupted(1));
});

test("cancelling a rollout leaves the run before it; going on learns the same", async () => {
  const workload = await demoWorkload(small);
  const started = await start(workload, scheduleOf(workload, strategies));
  const going = started.run.go({ kind: "steps", steps: 1 });
  started.run.cancel();
  const cursor = await going;
  expect(cursor.run).toEqual({ status: "paused", reason: { kind: "cancelled" } });
  expect((await started.run.go({ kind: "steps", steps: 1 })).run).toEqual(reached);
  expect(await policyHash(started)).toBe(await uninterrupted(1));
});

test.each([
  { when: "at once", waitMs: 0 },
  // Somewhere in the middle; a work that is over by then is none the worse.
  { when: "a moment later", waitMs: 1 },
])("cancelling each work $when leaves the run able to go on, and it learns the same", async ({ waitMs }) => {
  const workload = await demoWorkload(small);
  const schedule = scheduleOf(workload, strategies);
  const started = await start(workload, schedule);
  const { run } = started;
  for (const work of WORKS) {
    run.setBreakpoints([{ kind: "phase", work }]);
    // What was cancelled last may have been completed before it heard: the run stands at the next phase already then.
    if (itemAt(schedule, run.cursor).work !== work) {
      const { run: state } = await run.go({ kind: "steps", steps: 1 });
      expect(state, work).toMatchObject({ status: "paused", reason: { kind: "breakpoint" } });
    }
    while (itemAt(schedule, run.cursor).kind === "action") await run.go({ kind: "action" });
    const going = run.go({ kind: "phase" });
    const timer = waitMs > 0 ? setTimeout(() => run.cancel(), waitMs) : undefined;
    if (timer === undefined) run.cancel();
    const { run: state } = await going;
    clearTimeout(timer);
    expect(state, work).toMatchObject({ status: "paused", ...(waitMs === 0 && { reason: { kind: "cancelled" } }) });
  }
  if (run.cursor.step === 0) await run.go({ kind: "steps", steps: 1 });
  expect(run.cursor).toMatchObject({ step: 1, index: 0 });
  expect(await policyHash(started)).toBe(await uninterrupted(1));
});

test("a loss that overflows stops the run in its phase, and no weight changes", async () => {
  const workload = await demoWorkload(small);
  const task = { ...workload.task, reward: () => 1e200 };
  const started = await start({ ...workload, task }, scheduleOf(workload, strategies));
  const before = await policyHash(started);
  const { run } = await started.run.go({ kind: "steps", steps: 1 });
  expect(run).toMatchObject({ status: "failed", error: { code: "not_finite", tensor: "value loss" } });
  expect(started.run.records.phases.at(-1)?.work).toBe("train_critic");
  expect(await policyHash(started)).toBe(before);
});

test("a disk that takes no backup stops the run before anything is lost; once it does, retry goes on", async () => {
  const workload = await demoWorkload(small);
  const { backend, run } = await start(workload, scheduleOf(workload, { trainingMemoryOnlyWhileTraining: true }));
  await run.go({ kind: "phase" });
  await rm(backend.directory, { recursive: true });
  await expect(run.act({ kind: "offload", consumer: "critic.weights", to: "disk" })).rejects.toMatchObject({
    code: "backup_io",
  });
  expect(run.memory["critic.weights"]).toEqual({ residency: "resident", contents: "defined" });
  await mkdir(backend.directory);
  await run.act({ kind: "offload", consumer: "critic.weights", to: "disk" });
  await run.act({ kind: "load", consumer: "critic.weights" });
  expect((await run.go({ kind: "steps", steps: 1 })).run).toEqual(reached);
});

test("records say what each phase took, and what each action moved", async () => {
  const workload = await demoWorkload(small);
  const { run } = await start(workload, scheduleOf(workload, strategies));
  await run.go({ kind: "steps", steps: 2 });
  const [first, second] = run.records.steps;
  expect(second?.phases.map(({ work }) => work)).toEqual([
    "rollout",
    "score_policy",
    "score_reference",
    "score_reward",
    "score_critic",
    "advantages",
    "train_critic",
    "train_policy",
    "update_weights",
  ]);
  // The first step takes what the loop keeps; afterwards there is nothing but what the schedule says.
  expect(first?.actions.some(({ origin }) => origin === "set_up")).toBe(true);
  expect(second?.actions.map(({ label }) => label)).toEqual([
    "load reference.weights",
    "offload reference.weights to host",
    "swap engine.weights from policy.weights (copy)",
  ]);
  const swap = second?.actions.at(-1)?.receipt;
  expect(swap?.bytesCopied).toBeGreaterThan(400_000);
  for (const { startSeconds, endSeconds, peakBytes } of second?.phases ?? []) {
    expect(endSeconds).toBeGreaterThanOrEqual(startSeconds);
    expect(peakBytes).toBeGreaterThan(workload.settings.device.kvCacheBytes);
  }
});
