/**
 * A run on a GPU that regions can lie on and nothing can compute on. It is played by the driver's double, which has to be
 * there before any other driver is loaded: these tests share their process with none that may open a real card.
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { strategySetSchema } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import { planRun } from "../../../electron/session/run/plan.ts";
import { SessionRun } from "../../../electron/session/run/session-run.ts";
import { type CudaDouble, installCudaDouble, NOTHING } from "../cuda-double/cuda-double.ts";
import { DEMO_PPO } from "../session/support.ts";
import { addon, failure, withFolder } from "../support.ts";
import { deviceWithCache, INT8, refusals } from "./refusals.ts";
import { demoWorkload } from "./support.ts";

let double: CudaDouble;
beforeAll(async () => {
  double = await installCudaDouble();
});
afterAll(() => double.remove());

test("is also where a window measures what int8 changes", async () => {
  const schedule = { kind: "strategies", strategies: strategySetSchema.parse(INT8) } as const;
  const on = { name: "cuda:0", description: "", totalBytes: 0, freeBytes: 0 };
  const plan = await planRun(join(DEMO_PPO, "workload.json"), { schedule }, on);
  await withFolder(async (directory) => {
    const heard = { onChange() {}, onAction() {}, onStep() {}, onSamples() {} };
    const options = { id: 1, addon, plan, deviceName: on.name, samplingHertz: 1, directory, ...heard };
    const parts: unknown[] = [];
    const work = {
      signal: new AbortController().signal,
      progress() {},
      steps() {},
      part: (one: unknown) => parts.push(one),
    };
    await failure(() => SessionRun.open(options, work));
    expect(parts).toEqual(["what int8 changes"]);
  });
});

test("is told by what it lacks, and has all of its memory back", async () => {
  for (const error of await refusals(await demoWorkload({ device: deviceWithCache(MIB) }), "cuda:0")) {
    // This double of the driver loads no kernels, and an addon that was built without nvcc has none.
    expect(error.message).toMatch(/cuModuleLoadData|kernels/);
  }
  expect(double.counts()).toEqual(NOTHING);
});
