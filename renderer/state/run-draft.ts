/** The PPO run being put together: a draft of the `open_run` command, checked here. It outlives its dialog. */
import { create } from "zustand";
import type { CommandInput, RoleFolders } from "../../core/contract/commands.ts";
import { type TidelineErrorData, toErrorData } from "../../core/errors.ts";
import { type Placement, refuseSharingAcross } from "../../core/run/placement.ts";
import type { WorkloadSummary } from "../../core/run/state.ts";
import { buildSchedule } from "../../core/schedule/build.ts";
import { checkSchedule, problemError } from "../../core/schedule/check.ts";
import { parseSchedule } from "../../core/schedule/file.ts";
import { itemsOf, type Schedule } from "../../core/schedule/schedule.ts";
import { NO_STRATEGIES, type StrategySet } from "../../core/schedule/strategies.ts";
import { parseBytes } from "../../core/units.ts";

export interface RunDraft {
  readonly workload: "demo" | "file";
  /** The file. */
  readonly path: string;
  /** Folders as typed; left out or empty: the workload's own. */
  readonly checkpoints: RoleFolders;
  /** As typed; undefined: the workload's own. */
  readonly capacity: string | undefined;
  /** Devices as chosen; left out: the workload's own, or the session's. */
  readonly placement: Placement;
  /** Of devices, as typed; left out or empty: `capacity`. */
  readonly deviceCapacities: Readonly<Record<string, string>>;
  /** Undefined: the workload's own. */
  readonly seed: number | undefined;
  readonly kind: "strategies" | "schedule";
  readonly strategies: StrategySet;
  /** The schedule as JSON. */
  readonly text: string;
}

export const useRunDraft = create<RunDraft>(() => ({
  workload: "demo",
  path: "",
  checkpoints: {},
  capacity: undefined,
  placement: {},
  deviceCapacities: {},
  seed: undefined,
  kind: "strategies",
  strategies: NO_STRATEGIES,
  text: "",
}));

export function editRun(change: Partial<RunDraft>): void {
  useRunDraft.setState(change);
}

export type SchedulePlan =
  | { readonly ok: true; readonly schedule: Schedule }
  /** A schedule that was made all the same is kept, to be shown with what is wrong with it. */
  | { readonly ok: false; readonly error: TidelineErrorData; readonly schedule?: Schedule };

/** Where engine and roles lie that do not lie on the session's own device. */
export function placementOf(
  { placement }: Pick<RunDraft, "placement">,
  workload: Pick<WorkloadSummary, "placement">,
): Placement {
  return { ...workload.placement, ...placement };
}

/** The schedule of a draft, and whether it can run. */
export function planOf(draft: RunDraft, workload: WorkloadSummary, ownDevice = ""): SchedulePlan {
  const { kind, strategies, text } = draft;
  const { roles } = workload;
  const { engine = ownDevice, policy = ownDevice } = placementOf(draft, workload);
  let schedule: Schedule;
  try {
    schedule = kind === "strategies" ? buildSchedule(strategies, roles) : parseSchedule(text, "the schedule");
  } catch (error) {
    return { ok: false, error: toErrorData(error) };
  }
  try {
    for (const item of itemsOf(schedule)) {
      if (item.kind === "action") refuseSharingAcross(item.action, { engine, policy });
    }
  } catch (error) {
    return { ok: false, schedule, error: toErrorData(error) };
  }
  const check = checkSchedule(schedule);
  return check.ok ? { ok: true, schedule } : { ok: false, schedule, error: problemError(check.problem).data };
}

/** What is wrong with the capacity as typed; undefined: nothing. */
export function capacityProblem({ capacity }: RunDraft): string | undefined {
  if (capacity === undefined) return undefined;
  try {
    return parseBytes(capacity) > 0 ? undefined : "a size above 0";
  } catch (error) {
    return toErrorData(error).message;
  }
}

/** The same of one device's, which may be left empty. */
export function deviceCapacityProblem(draft: RunDraft, device: string): string | undefined {
  const capacity = draft.deviceCapacities[device]?.trim();
  return capacity === "" ? undefined : capacityProblem({ ...draft, capacity });
}

export function seedProblem({ seed }: RunDraft): string | undefined {
  return seed === undefined || (Number.isSafeInteger(seed) && seed >= 0) ? undefined : "a whole number from 0";
}

export type WorkloadQuestion = CommandInput<"read_workload">;

/** The question which workload a draft means; undefined: its file is not named yet. */
export function workloadOf({
  workload,
  path,
  checkpoints,
}: Pick<RunDraft, "workload" | "path" | "checkpoints">): WorkloadQuestion | undefined {
  const file = path.trim();
  if (workload === "file" && file === "") return undefined;
  const given = Object.entries(checkpoints).flatMap(([role, folder]) => {
    const trimmed = folder?.trim() ?? "";
    return trimmed === "" ? [] : [[role, trimmed]];
  });
  return {
    ...(workload === "file" && { path: file }),
    ...(given.length > 0 && { checkpoints: Object.fromEntries(given) }),
  };
}

/** The request of a draft whose parts are all well. */
export function requestOf(draft: RunDraft, schedule: Schedule): CommandInput<"open_run"> {
  const { capacity, seed, kind, strategies, placement, deviceCapacities } = draft;
  const sized = Object.entries(deviceCapacities).filter(([, text]) => text.trim() !== "");
  const { path, ...roles } = workloadOf(draft) ?? {};
  return {
    ...(path !== undefined && { workload: path }),
    ...roles,
    schedule: kind === "strategies" ? { kind, strategies } : { kind, schedule },
    ...(capacity !== undefined && { capacityBytes: parseBytes(capacity) }),
    ...(Object.keys(placement).length > 0 && { placement }),
    ...(sized.length > 0 && {
      deviceCapacities: Object.fromEntries(sized.map(([device, text]) => [device, parseBytes(text)])),
    }),
    ...(seed !== undefined && { seed }),
  };
}
