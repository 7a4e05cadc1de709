/** A run of a workload on this process's devices, from its parts: what the command line and the tests begin with. */
import type { Schedule } from "../../core/schedule/schedule.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import type { Progress, SamplesListener } from "./backend.ts";
import { closeAfter } from "./closing.ts";
import { PpoRun, type RunListener } from "./executor.ts";
import { NativePpoBackend } from "./native-backend.ts";
import { requireSameReward, type Workload } from "./workload.ts";
import { PpoWorks } from "./works.ts";

export interface StartOptions extends RunListener {
  readonly addon: TidelineAddon;
  readonly workload: Workload;
  readonly schedule: Schedule;
  /** Of all that the workload's placement does not name. */
  readonly deviceName: string;
  /** For backups on disk; removed in the end. */
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Of the loading of the models. */
  readonly progress?: Progress;
  readonly samplingHertz?: number;
  /** Hears of samples from the first byte that is loaded. */
  readonly onSamples?: SamplesListener;
}

export interface StartedRun {
  readonly run: PpoRun;
  /** Close it when done. */
  readonly backend: NativePpoBackend;
}

/**
 * @throws TidelineError `bad_argument` for a schedule that rewards otherwise than the workload; what PpoRun.begin throws,
 * and the addon's `device_unavailable`. Nothing is left open then.
 */
export async function startRun(options: StartOptions): Promise<StartedRun> {
  const { addon, workload, schedule, deviceName, directory, samplingHertz, onSamples, ...rest } = options;
  const { roles } = schedule;
  requireSameReward(roles, workload);
  const rate = samplingHertz === undefined ? {} : { samplingHertz };
  const backend = await NativePpoBackend.open({ addon, deviceName, workload, roles, directory, ...rate });
  if (onSamples !== undefined) backend.onSamples(onSamples);
  try {
    const run = await PpoRun.begin({ ...rest, schedule, backend, works: new PpoWorks(backend, workload) });
    return { run, backend };
  } catch (error) {
    return closeAfter(error, [backend]);
  }
}
