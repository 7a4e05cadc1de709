/** A run that cannot be opened says why, and leaves neither a device nor memory behind. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toErrorData } from "../../../core/errors.ts";
import { strategySetSchema } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import { measureQuantisation } from "../../../electron/ppo/measure-quantisation.ts";
import { startRun } from "../../../electron/ppo/start-run.ts";
import type { Workload } from "../../../electron/ppo/workload.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { planRun } from "../../../electron/session/run/plan.ts";
import { SessionRun } from "../../../electron/session/run/session-run.ts";
import type { NativeDevice, TidelineAddon } from "../../../native/addon.d.ts";
import { type CudaDouble, installCudaDouble, NOTHING } from "../cuda-double/cuda-double.ts";
import { DEMO_PPO, openSession } from "../session/support.ts";
import { addon, CHUNK_BYTES, failure, testDevice, withFolder } from "../support.ts";
import { demoWorkload, scheduleOf } from "./support.ts";

const INT8 = { int8: { reference: true } };

/** The addon, and the devices that it opened. */
function watched(): { readonly addon: TidelineAddon; readonly devices: readonly NativeDevice[] } {
  const devices: NativeDevice[] = [];
  const openDevice: TidelineAddon["openDevice"] = (options) => {
    const device = addon.openDevice(options);
    devices.push(device);
    return device;
  };
  return { addon: { ...addon, openDevice }, devices };
}

/** What opening a run, and measuring what its int8 changes, fail with; all that they opened is closed. */
async function refusals(workload: Workload, deviceName: string) {
  const schedule = scheduleOf(workload, INT8);
  const { signal } = new AbortController();
  const seen = watched();
  const refused = await withFolder(async (directory) => [
    await failure(() => startRun({ addon: seen.addon, workload, schedule, deviceName, directory, signal })),
    await failure(() =>
      measureQuantisation({ addon: seen.addon, workload, roles: schedule.roles, deviceName, signal }),
    ),
  ]);
  expect(seen.devices).toHaveLength(2);
  for (const device of seen.devices) expect(() => device.observe()).toThrow("the device is closed");
  return refused;
}

const deviceWith = (kvCacheBytes: number): WorkloadSettings["device"] => ({
  capacityBytes: 64 * MIB,
  chunkBytes: CHUNK_BYTES,
  kvCacheBytes,
});

describe("a KV cache without room for a block", () => {
  const device = deviceWith(1);

  test("is told by the engine's error", async () => {
    for (const error of await refusals(await demoWorkload({ device }), "host")) {
      expect(error).toMatchObject({ code: "kv_cache_too_small" });
    }
  });

  test("is told in a window, whose engine works on", async () => {
    const { ask, openRun } = await openSession({ device });
    const refused = await openRun().catch(toErrorData);
    expect(refused).toMatchObject({ code: "kv_cache_too_small" });
    const { run, consumers } = await ask("observe");
    expect({ run, names: consumers.map(({ consumer }) => consumer) }).toEqual({ run: undefined, names: [] });
  });
});

test("weights that are missing are told with the role and its folder", async () => {
  const workload = await demoWorkload();
  const { reference } = workload.checkpoints;
  const checkpoints = { ...workload.checkpoints, reference: { ...reference, tensors: reference.tensors.slice(1) } };
  for (const error of await refusals({ ...workload, checkpoints }, testDevice())) {
    expect(error.message).toMatch(`reference, ${reference.path}: ${reference.tensors[0]?.name} is missing`);
  }
});

describe("a GPU that regions can lie on, and nothing can compute on", () => {
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
    for (const error of await refusals(await demoWorkload({ device: deviceWith(MIB) }), "cuda:0")) {
      // This double of the driver loads no kernels, and an addon that was built without nvcc has none.
      expect(error.message).toMatch(/cuModuleLoadData|kernels/);
    }
    expect(double.counts()).toEqual(NOTHING);
  });
});
