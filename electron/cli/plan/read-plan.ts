/** A plan from wherever a person has one: a plan's file, its line of text, or the workload file of a run. */
import { basename, dirname, resolve } from "node:path";
import type { Plan } from "../../../core/planner/plan.ts";
import { parsePlan } from "../../../core/planner/plan-file.ts";
import { planFromLine } from "../../../core/planner/share.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { openWorkload } from "../../ppo/workload.ts";
import { planOfWorkload } from "../../ppo/workload-plan.ts";
import { readWorkload, settingsFor } from "../../ppo/workload-settings.ts";
import { readTextFile } from "../../session/input-file.ts";

const MAX_PLAN_BYTES = 2 ** 22;

/**
 * @param deviceName What a workload would be run on; a plan says that itself.
 * @throws TidelineError `plan_invalid`, `plan_damaged`; of a workload, those of reading and opening it.
 */
export async function readPlan(source: string, deviceName: string): Promise<Plan> {
  if (source.startsWith("tideline-plan-")) return planFromLine(source);
  const text = await readTextFile(source, MAX_PLAN_BYTES);
  return isWorkload(text) ? planOfRun(source, deviceName) : parsePlan(text, source);
}

/** A workload names the task that it learns. */
function isWorkload(text: string): boolean {
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === "object" && data !== null && Object.hasOwn(data, "task");
  } catch {
    // parsePlan says what is wrong with it.
    return false;
  }
}

/** A workload has no strategies of its own. */
async function planOfRun(file: string, deviceName: string): Promise<Plan> {
  const workload = await openWorkload(settingsFor(deviceName, await readWorkload(file)));
  return planOfWorkload(basename(dirname(resolve(file))), workload, NO_STRATEGIES);
}
