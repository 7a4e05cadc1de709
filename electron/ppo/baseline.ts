/** What a run's savings are measured against: the same workload with everything resident, and no limit of memory. */
import { buildSchedule } from "../../core/schedule/build.ts";
import type { Schedule } from "../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../core/schedule/strategies.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import { devicesOf, rolesOf, type Workload } from "./workload.ts";
import { changeWorkload } from "./workload-settings.ts";

/** The baseline of a workload, on devices that have all the memory that is free. */
export function baselineOf(
  addon: TidelineAddon,
  workload: Workload,
  deviceName: string,
): { readonly workload: Workload; readonly schedule: Schedule } {
  const probes = addon.probeDevices();
  const deviceCapacities = Object.fromEntries(
    devicesOf(workload, deviceName).map(({ name, capacityBytes }) => {
      const freeBytes = probes.find((probe) => probe.name === name)?.freeBytes ?? 0;
      return [name, Math.max(capacityBytes, freeBytes)];
    }),
  );
  const settings = changeWorkload(workload.settings, { deviceCapacities });
  return { workload: { ...workload, settings }, schedule: buildSchedule(NO_STRATEGIES, rolesOf(workload)) };
}
