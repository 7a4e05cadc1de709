/**
 * What a schedule does to the memory, and that it does nothing to what is learned: the policy's weights after five steps
 * are the same to the last bit under every strategy that moves bits without changing them, alone and together.
 */
import { expect, test } from "vitest";
import type { StrategySet } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import { demoWorkload, policyHash, REWARD_MODEL, scheduleOf, start } from "./support.ts";

const STEPS = 5;

const LOSSLESS: Readonly<Record<string, Partial<StrategySet>>> = {
  "release KV cache": { releaseKvCache: true },
  "release engine weights": { releaseEngineWeights: true },
  "swap by share": { swap: { method: "share" } },
  "reference on host": { reference: "host" },
  "reference on disk": { reference: "disk" },
  "reward on host": { reward: "host" },
  "reward on disk": { reward: "disk" },
  "training memory only while training": { trainingMemoryOnlyWhileTraining: true },
  "optimizer on host": { optimizerOnHost: true },
};
const COPY = { method: "copy" } as const;
const TOGETHER: Partial<StrategySet> = {
  releaseKvCache: true,
  releaseEngineWeights: true,
  reference: "disk",
  reward: "host",
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
};

async function smallWorkload() {
  const { settings } = await demoWorkload();
  return demoWorkload({ rollouts: 64, miniBatches: 2, roles: { ...settings.roles, reward: REWARD_MODEL } });
}

async function runSteps(strategies: Partial<StrategySet>) {
  const workload = await smallWorkload();
  const started = await start(workload, scheduleOf(workload, { swap: COPY, ...strategies }));
  const { run } = await started.run.go({ kind: "steps", steps: STEPS });
  expect(run).toEqual({ status: "paused", reason: { kind: "reached" } });
  return { hash: await policyHash(started), peakBytes: started.run.records.peakBytes };
}

test("the weights after five steps are bit-equal under every lossless strategy, alone and together", async () => {
  const baseline = await runSteps({});
  for (const [name, strategies] of Object.entries(LOSSLESS)) {
    expect((await runSteps(strategies)).hash, name).toBe(baseline.hash);
  }
  const together = await runSteps(TOGETHER);
  expect(together.hash, "together").toBe(baseline.hash);
  expect(together.peakBytes).toBeLessThan(baseline.peakBytes);
});

test("the hash tells runs apart", async () => {
  const workload = await smallWorkload();
  const other = { ...workload, settings: { ...workload.settings, seed: 1 } };
  const started = await start(other, scheduleOf(other, { swap: COPY }));
  await started.run.go({ kind: "steps", steps: STEPS });
  expect(await policyHash(started)).not.toBe((await runSteps({})).hash);
});

test("where everything resident does not fit, strategies make the same workload complete", async () => {
  const plenty = await runSteps({});
  const least = await runSteps(TOGETHER);
  const capacityBytes = Math.ceil((plenty.peakBytes + least.peakBytes) / 2 / MIB) * MIB;
  const workload = await smallWorkload();
  const tight = { ...workload, settings: { ...workload.settings } };
  tight.settings.device = { ...workload.settings.device, capacityBytes };

  const baseline = await start(tight, scheduleOf(tight, { swap: COPY }));
  const before = await policyHash(baseline);
  const { run, step } = await baseline.run.go({ kind: "steps", steps: STEPS });
  expect(step).toBe(0);
  expect(run).toMatchObject({ status: "failed", error: { code: "out_of_memory" } });
  const holders = run.status === "failed" ? run.error.holders : undefined;
  expect(holders?.map(({ consumer }) => consumer)).toContain("engine.kv_cache");
  // Which phase it is: the one whose work needs more than is left, not the loading of the models.
  expect(baseline.run.records.phases.at(-1)?.work).not.toBe("rollout");
  expect(await policyHash(baseline)).toBe(before);

  const saving = await start(tight, scheduleOf(tight, { swap: COPY, ...TOGETHER }));
  const { run: done } = await saving.run.go({ kind: "steps", steps: STEPS });
  expect(done).toEqual({ status: "paused", reason: { kind: "reached" } });
  expect(await policyHash(saving)).toBe(plenty.hash);
});
