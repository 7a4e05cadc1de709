/** A file dropped on the Plan screen: a plan is opened, a config.json becomes the model. */
import { toErrorData } from "../../../core/errors.ts";
import { parsePlan } from "../../../core/planner/plan-file.ts";
import { notifyError } from "../../state/notices.ts";
import { choosePlan, editPlan } from "../../state/plan.ts";
import { modelOfConfig } from "./form/model-row.tsx";
import { withModel } from "./form/roles.ts";

export async function openDropped(file: File): Promise<void> {
  try {
    const text = await file.text();
    if (isModelConfig(text)) {
      const model = modelOfConfig(text, file.name);
      editPlan("workload.policy.model", (plan) => withModel(plan, model));
    } else {
      choosePlan(parsePlan(text, file.name));
    }
  } catch (error) {
    notifyError(`Open ${file.name}`, toErrorData(error));
  }
}

/** Every config.json names its family; a plan does not. What is neither is refused as a plan. */
function isModelConfig(text: string): boolean {
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === "object" && data !== null && "model_type" in data;
  } catch {
    return false;
  }
}
