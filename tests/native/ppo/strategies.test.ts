/**
 * What a schedule does to the memory, and that it does nothing to what is learned: the policy's weights after five steps
 * are the same to the last bit under every strategy that moves bits without changing them, alone and together.
 */
import { expect, test } from "vitest";
import type { StrategySet } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { demoWorkload, LOSSLESS, policyHash, REWARD_MODEL, scheduleOf, start, TOGETHER } from "./support.ts";

const STEPS = 5;

async function smallWorkload(changes: Partial<WorkloadSettings> = {}) {
  const { settings } = await demoWorkload();
  const roles = { ...settings.roles, reward: REWARD_MODEL };
  return demoWorkload({ rollouts: 64, miniBatches: 2, roles, ...changes });
}

async function runSteps(strategies: Partial<StrategySet>, changes: Partial<WorkloadSettings> = {}) {
  const workload = await smallWorkload(changes);
  const started = await start(workload, scheduleOf(workload, strategies));
  const { run } = await started.run.go({ kind: "steps", steps: STEPS });
  expect(run).toEqual({ status: "paused", reason: { kind: "reached" } });
  const { steps, peakBytes } = started.run.records;
  return { hash: await policyHash(started), peakBytes, statistics: steps.map(({ statistics }) => statistics) };
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

test("bfloat16 with float32 master weights: one policy copy keeps every bit", async () => {
  const precision: Partial<WorkloadSettings> = { precision: { policy: "bf16" } };
  const baseline = await runSteps({}, precision);
  const single = await runSteps({ singlePolicyCopy: "as_is", swap: { method: "copy" } }, precision);
  expect(single.hash).toBe(baseline.hash);
  const everything = await runSteps({ ...TOGETHER, reference: "host" }, precision);
  expect(everything.hash).toBe(baseline.hash);
});

test("with gradients and moments in bfloat16 every lossless strategy keeps every bit", async () => {
  const states: Partial<WorkloadSettings> = { precision: { gradients: "bf16", moments: "bf16" } };
  const baseline = await runSteps({}, states);
  expect(baseline.hash).not.toBe((await runSteps({})).hash);
  for (const name of ["optimizer on host", "optimizer streamed", "training memory only while training"]) {
    expect((await runSteps(LOSSLESS[name] ?? {}, states)).hash, name).toBe(baseline.hash);
  }
  const together = await runSteps({ ...TOGETHER, optimizerStreamed: true }, states);
  expect(together.hash, "together").toBe(baseline.hash);
});

test("a float32 policy beside a bfloat16 engine is cast both ways, and what it learns stays close", async () => {
  const precision: Partial<WorkloadSettings> = { precision: { engine: "bf16" } };
  const baseline = await runSteps({}, precision);
  const single = await runSteps({ singlePolicyCopy: "cast", swap: { method: "copy" } }, precision);
  expect(single.hash).not.toBe(baseline.hash);
  for (const [step, statistics] of single.statistics.entries()) {
    expect(statistics?.kl).toBeCloseTo(baseline.statistics[step]?.kl ?? Number.NaN, 1);
  }
});

test("int8 reference and reward change KL and rewards, a little", async () => {
  const exact = await runSteps({});
  const rounded = await runSteps({ int8: { reference: true, reward: true } });
  const [first, firstRounded] = [exact.statistics[0], rounded.statistics[0]];
  expect(firstRounded?.kl).not.toBe(first?.kl);
  expect(firstRounded?.kl).toBeCloseTo(first?.kl ?? Number.NaN, 2);
  expect(firstRounded?.reward).not.toBe(first?.reward);
  expect(firstRounded?.reward).toBeCloseTo(first?.reward ?? Number.NaN, 1);
});

test("the hash tells runs apart", async () => {
  const workload = await smallWorkload();
  const other = { ...workload, settings: { ...workload.settings, seed: 1 } };
  const started = await start(other, scheduleOf(other, {}));
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

  const baseline = await start(tight, scheduleOf(tight, {}));
  const before = await policyHash(baseline);
  const { run, step } = await baseline.run.go({ kind: "steps", steps: STEPS });
  expect(step).toBe(0);
  expect(run).toMatchObject({ status: "failed", error: { code: "out_of_memory" } });
  const holders = run.status === "failed" ? run.error.holders : undefined;
  expect(holders?.map(({ consumer }) => consumer)).toContain("engine.kv_cache");
  // Which phase it is: the one whose work needs more than is left, not the loading of the models.
  expect(baseline.run.records.phases.at(-1)?.work).not.toBe("rollout");
  expect(await policyHash(baseline)).toBe(before);

  const saving = await start(tight, scheduleOf(tight, TOGETHER));
  const { run: done } = await saving.run.go({ kind: "steps", steps: STEPS });
  expect(done).toEqual({ status: "paused", reason: { kind: "reached" } });
  expect(await policyHash(saving)).toBe(plenty.hash);
});
