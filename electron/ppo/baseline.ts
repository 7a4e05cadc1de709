/** What a run's savings are measured against: the same workload with everything resident, and no limit of memory. */
import { buildSchedule } from "../../core/schedule/build.ts";
import type { Schedule } from "../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../core/schedule/strategies.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import { changeWorkload, rolesOf, type Workload } from "./workload.ts";

/** The baseline of a workload, on a device that has all the memory that is free. */
export function baselineOf(
  addon: TidelineAddon,
  workload: Workload,
  deviceName: string,
): { readonly workload: Workload; readonly schedule: Schedule } {
  const { capacityBytes } = workload.settings.device;
  const freeBytes = addon.probeDevices().find(({ name }) => name === deviceName)?.freeBytes ?? capacityBytes;
  const settings = changeWorkload(workload.settings, { capacityBytes: Math.max(capacityBytes, freeBytes) });
  return { workload: { ...workload, settings }, schedule: buildSchedule(NO_STRATEGIES, rolesOf(workload)) };
}
