/** What strategies save and cost, measured; and the memory that runs out, in the phase where it would on a card. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { itemAt } from "../../../core/schedule/cursor.ts";
import { IS_HOST } from "../support.ts";
import { DEMO_PPO, openSession, RUN_CHUNK_BYTES } from "./support.ts";

const SAVING = {
  releaseKvCache: true,
  swap: { method: "copy" },
  reference: "host",
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
} as const;

test("the baseline is the workload really run without strategies, beside the run", async () => {
  const { openRun, go, ask, run } = await openSession();
  await openRun(SAVING);
  await go({ kind: "steps", steps: 3 });
  const measuring = ask("measure_baseline", { maxSteps: 2 });
  const { operations } = await ask("observe");
  expect(operations).toMatchObject([{ steps: { done: 0, total: 2 }, cancellable: true }]);
  await expect(ask("go", { goal: { kind: "action" } })).rejects.toMatchObject({ code: "busy" });
  await measuring;
  const { savings, cursor } = await run();
  expect(cursor.step).toBe(3);
  expect(savings.own).toMatchObject({ steps: 3 });
  expect(savings.baseline).toMatchObject({ steps: 2 });
  const { ownLargest, baselineLargest } = savings;
  expect(ownLargest?.kvCacheBytes).toBeGreaterThan(baselineLargest?.kvCacheBytes ?? Number.POSITIVE_INFINITY);
  await ask("close_run");

  // A run without strategies takes as much, and has nothing to save.
  await openRun({});
  const plain = await go({ kind: "steps", steps: 2 });
  expect(plain.savings.own.peakBytes).toBe(savings.baseline?.peakBytes);
  expect(plain.savings.own.peakBytes).toBeGreaterThan(savings.own.peakBytes);
  expect(plain.savings.ownLargest).toEqual(baselineLargest);
});

test("what int8 weights change is measured while the run is opened, and stays part of what is said of it", async () => {
  const { openRun, go, ask } = await openSession();
  const checkpoints = { reward: join(DEMO_PPO, "reward") };
  const { quantisation } = await openRun({ int8: { reference: true, reward: true } }, { checkpoints });
  expect(quantisation.map(({ role }) => role)).toEqual(["reference", "reward"]);
  for (const { floatBytes, int8Bytes, changes } of quantisation) {
    // On a GPU the demo's models take the least that there is of a region.
    if (IS_HOST) expect(int8Bytes).toBeLessThan(floatBytes);
    expect(changes.length).toBeGreaterThan(0);
    for (const { meanAbsolute } of changes) expect(meanAbsolute).toBeGreaterThan(0);
  }
  expect((await go({ kind: "steps", steps: 1 })).quantisation).toEqual(quantisation);
  await ask("close_run");
  expect((await openRun()).quantisation).toEqual([]);
});

test("the baseline is not limited by the run's capacity, and can be cancelled", async () => {
  const { openRun, go, ask, run, actions } = await openSession();
  await openRun(SAVING);
  const capacityBytes = (await go({ kind: "steps", steps: 2 })).savings.own.peakBytes;
  await ask("close_run");
  const { savings } = await openRun(SAVING, { capacityBytes });
  expect(savings).toEqual({ own: { steps: 0, peakBytes: 0, stepSeconds: 0, memorySeconds: 0 } });
  await go({ kind: "steps", steps: 1 });
  const known = actions().length;

  const cancelled = ask("measure_baseline");
  const [operation] = (await ask("observe")).operations;
  await ask("cancel_operation", { id: operation?.id ?? -1 });
  await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
  expect((await run()).savings.baseline).toBeUndefined();

  await ask("measure_baseline");
  const { baseline } = (await run()).savings;
  expect(baseline?.failure).toBeUndefined();
  expect(baseline?.peakBytes).toBeGreaterThan(capacityBytes);
  // What it did to its own device is not this run's story.
  expect(actions()).toHaveLength(known);
});

test("a run is ended while its baseline is measured", async () => {
  const { openRun, ask } = await openSession();
  await openRun(SAVING);
  const measuring = ask("measure_baseline", { maxSteps: 100 });
  const cancelled = expect(measuring).rejects.toMatchObject({ code: "cancelled" });
  await ask("close_run");
  await cancelled;
});

test("out of memory stops in its phase; something freed by hand, it goes on", async () => {
  const strategies = { swap: { method: "copy" } } as const;
  const { openRun, go, ask, rest } = await openSession();
  const { schedule } = await openRun(strategies);
  const { savings } = await go({ kind: "steps", steps: 1 });
  await ask("close_run");

  await openRun(strategies, { capacityBytes: savings.own.peakBytes - RUN_CHUNK_BYTES });
  await ask("set_breakpoints", { breakpoints: [{ kind: "out_of_memory" }] });
  const failed = await go({ kind: "steps", steps: 1 });
  expect(failed.cursor.run).toMatchObject({
    status: "failed",
    breakpoint: { kind: "out_of_memory" },
    error: {
      code: "out_of_memory",
      holders: expect.arrayContaining([expect.objectContaining({ consumer: "engine.kv_cache" })]),
    },
  });
  expect(failed.savings.own.failure).toMatchObject({ code: "out_of_memory" });
  expect(itemAt(schedule, failed.cursor).work).toBe("train_policy");
  const failedAction = (await ask("history", { sinceSeconds: 0, maxRows: 0 })).actions.at(-1);
  expect(failedAction).toMatchObject({ consumer: "policy.gradients", error: { code: "out_of_memory" } });

  await ask("act", { action: { kind: "release", consumer: "engine.kv_cache" } });
  await ask("retry");
  const { cursor } = await rest();
  expect(cursor).toMatchObject({ step: 1, run: { status: "paused", reason: { kind: "reached" } } });
  // The schedule did not know of it: the next step says what it lacks.
  const missing = await go({ kind: "steps", steps: 1 });
  expect(missing.cursor.run).toMatchObject({
    status: "failed",
    error: { code: "not_resident", hint: "add `resume engine.kv_cache` before it" },
  });
});

test("a number that is not finite stops the run and says where, and the weights are those of the last update", async () => {
  const { openRun, go, policyHash, folder } = await openSession();
  const reference = join(folder, "damaged");
  await cp(join(DEMO_PPO, "policy"), reference, { recursive: true });
  const weights = await readFile(join(reference, "model.safetensors"));
  weights.writeFloatLE(Number.NaN, weights.length - 4);
  await writeFile(join(reference, "model.safetensors"), weights);

  const { schedule } = await openRun({ swap: { method: "copy" } }, { checkpoints: { reference } });
  const before = await policyHash();
  const { cursor } = await go({ kind: "steps", steps: 1 });
  expect(cursor.run).toMatchObject({
    status: "failed",
    error: { code: "not_finite", tensor: "log-probs of the reference" },
  });
  expect(itemAt(schedule, cursor).work).toBe("score_reference");
  expect(await policyHash()).toBe(before);
});
