/** What a run would be, before anything is opened: a workload's file, what it says, and the schedule it is run under. */
import { basename, dirname, resolve } from "node:path";
import type { CommandRequest, RoleFolders } from "../../../core/contract/commands.ts";
import type { DeviceChoice } from "../../../core/contract/state.ts";
import { toErrorData } from "../../../core/errors.ts";
import { HOST } from "../../../core/planner/gpus/catalogue.ts";
import { gpuOfDevice } from "../../../core/planner/gpus/planned-gpu.ts";
import type { WorkloadSummary } from "../../../core/run/state.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { checkSchedule, problemError } from "../../../core/schedule/check.ts";
import { scheduleFrom } from "../../../core/schedule/file.ts";
import type { Schedule } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { openWorkload, rolesOf, type Workload } from "../../ppo/workload.ts";
import { planOfWorkload } from "../../ppo/workload-plan.ts";
import { changeWorkload, readWorkload, settingsFor } from "../../ppo/workload-settings.ts";

export interface RunPlan {
  readonly summary: WorkloadSummary;
  readonly workload: Workload;
  readonly schedule: Schedule;
}

/**
 * What would be run; headers and tokenizer are read, and the schedule is checked.
 * @throws TidelineError of readWorkload, openWorkload, scheduleFrom, buildSchedule and checkSchedule.
 */
export async function planRun(file: string, request: CommandRequest<"open_run">, on: DeviceChoice): Promise<RunPlan> {
  const { placement, ...changes } = request;
  const placed = changeWorkload(await readWorkload(file), { placement });
  const settings = changeWorkload(settingsFor(on.name, placed), {
    ...changes,
    checkpoints: absolute(request.checkpoints),
  });
  const workload = await openWorkload(settings);
  const { schedule: wanted } = request;
  const schedule =
    wanted.kind === "schedule"
      ? scheduleFrom(wanted.schedule, "the schedule")
      : buildSchedule(wanted.strategies, rolesOf(workload));
  const check = checkSchedule(schedule);
  if (!check.ok) throw problemError(check.problem);
  return { summary: summaryOf(file, workload, on), workload, schedule };
}

/** @throws TidelineError of readWorkload and openWorkload. */
export async function summariseWorkload(
  file: string,
  on: DeviceChoice,
  checkpoints?: RoleFolders,
): Promise<WorkloadSummary> {
  const read = settingsFor(on.name, await readWorkload(file));
  const settings = changeWorkload(read, { checkpoints: absolute(checkpoints) });
  return summaryOf(file, await openWorkload(settings), on);
}

export function summaryOf(file: string, workload: Workload, on: DeviceChoice): WorkloadSummary {
  const { settings, checkpoints } = workload;
  const { rollouts, maxNewTokens, sequenceTokens, microBatch, seed, device, placement } = settings;
  const { policy, critic, reference, reward } = checkpoints;
  return {
    path: resolve(file),
    name: nameOf(file),
    task: settings.task,
    rollouts,
    maxNewTokens,
    sequenceTokens,
    microBatch,
    seed,
    capacityBytes: device.capacityBytes,
    ...(device.capacities !== undefined && { deviceCapacities: device.capacities }),
    ...(placement !== undefined && { placement }),
    kvCacheBytes: device.kvCacheBytes,
    roles: rolesOf(workload),
    checkpoints: {
      policy: policy.path,
      critic: critic.path,
      reference: reference.path,
      ...(reward !== undefined && { reward: reward.path }),
    },
    ...planned(nameOf(file), workload, on),
  };
}

/** A workload that no plan can say, for a size or a card that the planner does not know, runs all the same. */
function planned(name: string, workload: Workload, on: DeviceChoice): Pick<WorkloadSummary, "plan"> {
  const card = on.name === HOST ? undefined : gpuOfDevice(on);
  if (on.name !== HOST && card === undefined) return {};
  try {
    return { plan: planOfWorkload(name, workload, NO_STRATEGIES, card) };
  } catch (error) {
    if (toErrorData(error).code === "plan_invalid") return {};
    throw error;
  }
}

/** A file with the usual name is known by its folder. */
function nameOf(file: string): string {
  const name = basename(file, ".json");
  return name === "workload" ? basename(dirname(resolve(file))) : name;
}

function absolute(folders: RoleFolders = {}) {
  const given = Object.entries(folders).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(given.map(([role, folder]) => [role, resolve(folder)]));
}
