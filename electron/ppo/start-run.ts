/** A run of a workload on this process's device, from its parts: what the command line and the tests begin with. */
import type { Schedule } from "../../core/schedule/schedule.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import { PpoRun, type RunListener } from "./executor.ts";
import { NativePpoBackend } from "./native-backend.ts";
import type { Workload } from "./workload.ts";
import { PpoWorks } from "./works.ts";

export interface StartOptions extends RunListener {
  readonly addon: TidelineAddon;
  readonly workload: Workload;
  readonly schedule: Schedule;
  readonly deviceName: string;
  /** For backups on disk; removed in the end. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

export interface StartedRun {
  readonly run: PpoRun;
  /** Close it when done. */
  readonly backend: NativePpoBackend;
}

/** @throws what PpoRun.begin throws, and the addon's `device_unavailable`; nothing is left open then. */
export async function startRun(options: StartOptions): Promise<StartedRun> {
  const { addon, workload, schedule, deviceName, directory, ...rest } = options;
  const backend = new NativePpoBackend({ addon, deviceName, workload, roles: schedule.roles, directory });
  try {
    const run = await PpoRun.begin({ ...rest, schedule, backend, works: new PpoWorks(backend, workload) });
    return { run, backend };
  } catch (error) {
    await backend.close();
    throw error;
  }
}
