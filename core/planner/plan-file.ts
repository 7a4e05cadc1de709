/** A plan as a file: JSON that a person edits by hand. Whatever is wrong with it is said with the field and what is allowed. */
import { allowed, type Fault, refusal, type Source } from "../input/fault.ts";
import { isJsonObject, parseJson } from "../input/json.ts";
import { parseWith, UNKNOWN_FIELD } from "../input/schema-fault.ts";
import { frozenRoleSchema, type Plan, planSchema } from "./plan.ts";

/**
 * The plan in a file's text.
 * @throws TidelineError `plan_invalid` with file and field.
 */
export function parsePlan(text: string, file: string): Plan {
  return planFrom(parseJson(text, sourceOf(file), { refuseDuplicates: true }), file);
}

/**
 * The plan in parsed JSON.
 * @param name Names it in errors: a file, or "the plan".
 * @throws TidelineError `plan_invalid` with field.
 */
export function planFrom(data: unknown, name: string): Plan {
  const source = sourceOf(name);
  if (!isJsonObject(data)) {
    const message = "is not a plan: a plan is a JSON object";
    throw refusal(source, { path: [], message, hint: "assets/plans has some." });
  }
  return parseWith(planSchema, data, (fault) => refusal(source, explained(fault)));
}

export function formatPlan(plan: Plan): string {
  return `${JSON.stringify(plan, undefined, 2)}\n`;
}

/** What a trained role has and a frozen one has not, such as LoRA, is said to be so. */
function explained(fault: Fault): Fault {
  const [part, role, ...inside] = fault.path;
  const isFrozen = part === "workload" && (role === "reference" || role === "reward") && inside.length === 1;
  if (!isFrozen || fault.message !== UNKNOWN_FIELD) return fault;
  return {
    ...fault,
    message: `${UNKNOWN_FIELD}: the ${role} is frozen, only policy and critic are trained`,
    hint: allowed(Object.keys(frozenRoleSchema.shape)),
  };
}

function sourceOf(name: string): Source {
  return { name, code: "plan_invalid" };
}
