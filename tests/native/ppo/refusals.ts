/** A run that cannot be opened, tried both ways that open one. */
import { expect } from "vitest";
import { MIB } from "../../../core/units.ts";
import { measureQuantisation } from "../../../electron/ppo/measure-quantisation.ts";
import { startRun } from "../../../electron/ppo/start-run.ts";
import type { Workload } from "../../../electron/ppo/workload.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import type { NativeDevice, TidelineAddon } from "../../../native/addon.d.ts";
import { addon, CHUNK_BYTES, failure, withFolder } from "../support.ts";
import { scheduleOf } from "./support.ts";

export const INT8 = { int8: { reference: true } };

/** A small one, whose engine has so much for its KV cache. */
export const deviceWithCache = (kvCacheBytes: number): WorkloadSettings["device"] => ({
  capacityBytes: 64 * MIB,
  chunkBytes: CHUNK_BYTES,
  kvCacheBytes,
});

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
export async function refusals(workload: Workload, deviceName: string) {
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
