/** What int8 changes is measured on the sequences that the run really rolls out, and agrees with what the run does with them. */
import { expect, test } from "vitest";
import { changeOf } from "../../../core/run/quantisation.ts";
import { measureQuantisation } from "../../../electron/ppo/measure-quantisation.ts";
import { rolesOf, type Workload } from "../../../electron/ppo/workload.ts";
import { addon, IS_HOST, testDevice } from "../support.ts";
import { demoWorkload, REWARD_MODEL, scheduleOf, start } from "./support.ts";

async function rewardedWorkload(): Promise<Workload> {
  const { settings } = await demoWorkload();
  return demoWorkload({ roles: { ...settings.roles, reward: REWARD_MODEL }, rollouts: 64 });
}

async function measure(workload: Workload, roles = rolesOf(workload)) {
  return measureQuantisation({
    ...{ addon, workload, roles, deviceName: testDevice() },
    signal: new AbortController().signal,
  });
}

/** What the first step says of its rollouts. */
async function firstStep(workload: Workload, int8: { readonly reference?: boolean; readonly reward?: boolean }) {
  const { run } = await start(workload, scheduleOf(workload, { int8 }));
  await run.go({ kind: "steps", steps: 1 });
  const [step] = run.records.steps;
  if (step?.statistics === undefined) throw new Error("the first step taught nothing");
  return step.statistics;
}

test("the change is what moves the first step's KL and reward, role by role", async () => {
  const workload = await rewardedWorkload();
  const measured = await measure(workload, { ...rolesOf(workload), reference: "int8", reward: "int8" });
  const [reference, reward] = measured;
  expect(measured.map(({ role }) => role)).toEqual(["reference", "reward"]);
  const [logprobs, penalties] = reference?.changes ?? [];
  const [rewards] = reward?.changes ?? [];

  const exact = await firstStep(workload, {});
  expect(logprobs?.compared).toBe(exact.responseTokens * 64);
  expect(penalties?.compared).toBe(64);
  expect(rewards?.compared).toBe(64);
  for (const change of [logprobs, penalties, rewards]) {
    expect(change?.meanAbsolute).toBeGreaterThan(0);
    expect(change?.maxAbsolute).toBeGreaterThanOrEqual(change?.meanAbsolute ?? Number.NaN);
  }
  // A mean moves by at most the mean of what its numbers move by; the same rollouts were scored.
  const kl = Math.abs((await firstStep(workload, { reference: true })).kl - exact.kl);
  expect(kl).toBeGreaterThan(0);
  expect(kl).toBeLessThanOrEqual((logprobs?.meanAbsolute ?? 0) * (1 + 1e-6));
  const moved = Math.abs((await firstStep(workload, { reward: true })).reward - exact.reward);
  expect(moved).toBeGreaterThan(0);
  expect(moved).toBeLessThanOrEqual((rewards?.meanAbsolute ?? 0) * (1 + 1e-6));
});

test("int8 takes less, nothing is measured where nothing is quantised, and the same is measured again", async () => {
  const workload = await rewardedWorkload();
  expect(await measure(workload)).toEqual([]);
  const roles = { ...rolesOf(workload), reward: "int8" } as const;
  const once = await measure(workload, roles);
  // On a GPU the demo's models take the least that there is of a region.
  if (IS_HOST) expect(once[0]?.int8Bytes).toBeLessThan(0.4 * (once[0]?.floatBytes ?? 0));
  expect(await measure(workload, roles)).toEqual(once);
});

test("it can be cancelled, and gives everything back", async () => {
  const workload = await rewardedWorkload();
  const roles = { ...rolesOf(workload), reward: "int8" } as const;
  const options = { addon, workload, roles, deviceName: testDevice(), signal: AbortSignal.abort() };
  await expect(measureQuantisation(options)).rejects.toMatchObject({ code: "cancelled" });
});

test("a change is the mean and the largest distance", () => {
  const change = changeOf("rewards", [1, 2, 3, -4], [1.5, 2, 2, -4]);
  expect(change).toEqual({ quantity: "rewards", compared: 4, meanAbsolute: 0.375, maxAbsolute: 1 });
});
