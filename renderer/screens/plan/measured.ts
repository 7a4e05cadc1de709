/** What a run measured, laid beside a plan: only where run and plan are the same loop on the same memory. */
import type { Plan } from "../../../core/planner/plan.ts";
import type { PredictedGpu } from "../../../core/planner/predict/prediction.ts";
import { rolesOfPlan } from "../../../core/planner/resolve.ts";
import type { PlacedDevice } from "../../../core/run/placement.ts";
import { type PhaseRecord, peakOn, type StepRecord } from "../../../core/run/records.ts";
import type { RunState } from "../../../core/run/state.ts";
import { describeAction, type Roles, type Schedule } from "../../../core/schedule/schedule.ts";

export interface Measured {
  /** Counted from 1. */
  readonly step: number;
  /** Of the device that is that GPU of the plan. */
  readonly phases: readonly PhaseRecord[];
  /** As batches of samples name it: undefined is the engine's. */
  readonly device: string | undefined;
}

/** The last complete step of a run of this plan, on its GPUs of a kind; undefined where there is none. */
export function measuredOf(
  plan: Plan,
  schedule: Schedule,
  run: RunState | undefined,
  steps: readonly StepRecord[],
  kind: PredictedGpu["kind"] = "shared",
): Measured | undefined {
  const last = steps.at(-1);
  const planned = run?.workload.plan;
  if (last === undefined || run === undefined || planned === undefined) return undefined;
  if (!isSameWorkload(plan, planned) || !isSameLoop(schedule, run.schedule)) return undefined;
  const index = run.devices.findIndex(({ holds }) => KIND_HOLDS[kind](holds));
  const name = run.devices[index]?.name;
  if (name === undefined) return undefined;
  return {
    step: last.step + 1,
    phases: last.phases.map((phase) => ({ ...phase, ...peakOn(phase, name) })),
    device: index === 0 ? undefined : name,
  };
}

/** Which device of a run of a plan is that kind of its GPUs. */
const KIND_HOLDS: Readonly<Record<PredictedGpu["kind"], (holds: PlacedDevice["holds"]) => boolean>> = {
  shared: () => true,
  engine: (holds) => holds.includes("engine"),
  trainer: (holds) => holds.includes("policy"),
};

/** Whether two plans are of the same models, sizes and memory, whatever they are called and whichever strategies they have. */
export function isSameWorkload(one: Plan, other: Plan): boolean {
  // How fast memory is does not change how much of it is taken.
  const text = ({ workload, placement, gpu: { name, embedded, totalBytes, chunkBytes, threads } }: Plan) =>
    inOrder({ workload, placement, gpu: { name, embedded, totalBytes, chunkBytes, threads } });
  return text(one) === text(other);
}

/** JSON in which the order of fields does not matter. */
function inOrder(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([first], [second]) => (first < second ? -1 : 1)))
      : part,
  );
}

function isSameLoop(one: Schedule, other: Schedule): boolean {
  const text = ({ phases }: Schedule) =>
    JSON.stringify(
      phases.map(({ work, before, after }) => [before.map(describeAction), work, after.map(describeAction)]),
    );
  return text(one) === text(other);
}

/** Which role the plan has otherwise than a workload: a schedule made for one cannot run with the other. */
export function differenceFromRoles(plan: Plan, roles: Roles, name: string): string | undefined {
  const planned = rolesOfPlan(plan);
  for (const role of ["engine", "policy", "critic", "reference", "reward"] as const) {
    if (planned[role] !== roles[role]) {
      return `the ${role} is ${words(planned[role])} in the plan and ${words(roles[role])} in ${name}`;
    }
  }
  return undefined;
}

function words(role: Roles["reward"]): string {
  return role === "rule" ? "a rule" : role;
}
