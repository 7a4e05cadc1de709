/** The demo's policy learns: the rule, which nothing in the loop can fool, gives it more at the end than at the start. */
import { expect, test } from "vitest";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { demoWorkload, scheduleOf, start } from "./support.ts";

const STEPS = 30;

interface Rewards {
  readonly first: number;
  readonly last: number;
}

async function rewards(learningRate?: number, precision: WorkloadSettings["precision"] = {}): Promise<Rewards> {
  const demo = await demoWorkload({ precision });
  const { policy, critic } = demo.settings.optimizer;
  const optimizer = { critic, policy: { ...policy, ...(learningRate !== undefined && { learningRate }) } };
  const workload = { ...demo, settings: { ...demo.settings, optimizer } };
  const { run } = await start(workload, scheduleOf(workload, {}));
  const cursor = await run.go({ kind: "steps", steps: STEPS });
  expect(cursor.run).toEqual({ status: "paused", reason: { kind: "reached" } });
  const curve = run.records.steps.map(({ statistics }) => statistics?.reward ?? Number.NaN);
  expect(curve).toHaveLength(STEPS);
  const mean = (part: readonly number[]) => part.reduce((sum, reward) => sum + reward, 0) / part.length;
  return { first: mean(curve.slice(0, 5)), last: mean(curve.slice(-5)) };
}

test("the reward climbs from about a half to nine tenths within 30 steps", async () => {
  const { first, last } = await rewards();
  expect(first).toBeLessThan(0.6);
  expect(last).toBeGreaterThan(0.85);
});

test("it climbs as far with gradients and moments in bfloat16", async () => {
  const { first, last } = await rewards(undefined, { gradients: "bf16", moments: "bf16" });
  expect(first).toBeLessThan(0.6);
  expect(last).toBeGreaterThan(0.85);
});

test("it stays where it is when the updates change next to nothing", async () => {
  const { first, last } = await rewards(1e-12);
  expect(Math.abs(last - first)).toBeLessThan(0.1);
});
