/** Optimizer states that never come to the device: what is learned stays the same to the last bit, for less at the peak. */
import { expect, test } from "vitest";
import type { StrategySet } from "../../../core/schedule/strategies.ts";
import { demoWorkload, policyHash, scheduleOf, start, TOGETHER } from "./support.ts";

const STEPS = 3;

async function runSteps(strategies: Partial<StrategySet>) {
  const workload = await demoWorkload({ rollouts: 32, miniBatches: 2, precision: { policy: "bf16" } });
  const started = await start(workload, scheduleOf(workload, strategies));
  const { run } = await started.run.go({ kind: "steps", steps: STEPS });
  expect(run).toEqual({ status: "paused", reason: { kind: "reached" } });
  const { steps, peakBytes } = started.run.records;
  const holders = steps.flatMap(({ phases }) => phases.flatMap(({ holders: held }) => Object.keys(held)));
  return { hash: await policyHash(started), peakBytes, holders: new Set(holders) };
}

test("streamed states are never on the device", async () => {
  const resident = await runSteps({});
  const strategies = { ...TOGETHER, reward: "resident" } as const;
  const fetched = await runSteps(strategies);
  const streamed = await runSteps({ ...strategies, optimizerStreamed: true });
  expect([fetched.hash, streamed.hash]).toEqual([resident.hash, resident.hash]);
  expect(streamed.peakBytes).toBeLessThan(fetched.peakBytes);
  expect(fetched.holders).toContain("policy.optimizer");
  for (const consumer of ["policy.optimizer", "critic.optimizer"]) expect(streamed.holders).not.toContain(consumer);
});
