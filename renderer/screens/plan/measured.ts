/** What a run measured, laid beside a plan: only where run and plan are the same loop on the same memory. */

import { HOST } from "../../../core/planner/gpus/catalogue.ts";
import type { Plan } from "../../../core/planner/plan.ts";
import { rolesOfPlan } from "../../../core/planner/resolve.ts";
import type { PhaseRecord, StepRecord } from "../../../core/run/records.ts";
import type { RunState, WorkloadSummary } from "../../../core/run/state.ts";
import { describeAction, type Roles, type Schedule } from "../../../core/schedule/schedule.ts";
import { formatBytes } from "../../../core/units.ts";

export interface Measured {
  /** Counted from 1. */
  readonly step: number;
  readonly phases: readonly PhaseRecord[];
}

/** The last complete step of a run of this plan; undefined where there is none. */
export function measuredOf(
  plan: Plan,
  schedule: Schedule,
  run: RunState | undefined,
  steps: readonly StepRecord[],
): Measured | undefined {
  const last = steps.at(-1);
  if (run === undefined || last === undefined) return undefined;
  if (differenceFromWorkload(plan, run.workload) !== undefined || !isSameLoop(schedule, run.schedule)) return undefined;
  return { step: last.step + 1, phases: last.phases };
}

/** In which size a plan is not what a workload says; undefined where they are the same. */
export function differenceFromWorkload(plan: Plan, workload: WorkloadSummary): string | undefined {
  const { batch, promptTokens, responseTokens, microBatch, engine } = plan.workload;
  const totalBytes = plan.gpu.totalBytes ?? 0;
  const sizes: readonly (readonly [what: string, planned: number, run: number, words?: (size: number) => string])[] = [
    ["batch", batch, workload.rollouts],
    ["tokens of a response", responseTokens, workload.maxNewTokens],
    ["tokens of a sequence", promptTokens + responseTokens, workload.sequenceTokens],
    ["micro-batch", microBatch, workload.microBatch],
    ["KV cache", engine.kvCacheBytes ?? 0, workload.kvCacheBytes, formatBytes],
    ["capacity", totalBytes, workload.capacityBytes, formatBytes],
  ];
  if (plan.gpu.name !== HOST) return `it is planned for ${plan.gpu.name}, not for the host`;
  const differing = sizes.find(([, planned, run]) => planned !== run);
  if (differing !== undefined) {
    const [what, planned, run, words = String] = differing;
    return `${what}: ${planned === 0 ? "left open" : words(planned)} in the plan, ${words(run)} in ${workload.name}`;
  }
  return differenceFromRoles(plan, workload.roles, workload.name);
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

function isSameLoop(one: Schedule, other: Schedule): boolean {
  const text = ({ phases }: Schedule) =>
    JSON.stringify(
      phases.map(({ work, before, after }) => [before.map(describeAction), work, after.map(describeAction)]),
    );
  return text(one) === text(other);
}
