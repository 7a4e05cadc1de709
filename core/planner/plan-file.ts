/** A plan as a file: JSON that a person edits by hand. Whatever is wrong with it is said with the field and what is allowed. */
import { findDuplicateKey } from "../checkpoint/json.ts";
import { TidelineError } from "../errors.ts";
import { allowed, type Fault, fieldOf, firstFault, IN_WORDS, UNKNOWN_FIELD } from "../schema-fault.ts";
import { frozenRoleSchema, type Plan, planSchema } from "./plan.ts";

/**
 * The plan in a file's text.
 * @throws TidelineError `plan_invalid` with file and field.
 */
export function parsePlan(text: string, file: string): Plan {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    if (text.trim() === "") throw invalid(file, { path: [], message: "is empty" });
    const why = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, " ");
    const hint = "JSON has no comments, and no comma before a closing bracket.";
    throw invalid(file, { path: [], message: `is not JSON: ${why}`, hint });
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) throw invalid(file, { path: [], message: `lists "${twice}" twice in one place` });
  return planFrom(data, file);
}

/**
 * The plan in parsed JSON.
 * @param source Names it in errors: a file, or "the plan".
 * @throws TidelineError `plan_invalid` with field.
 */
export function planFrom(data: unknown, source: string): Plan {
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw invalid(source, {
      path: [],
      message: "is not a plan: a plan is a JSON object",
      hint: "assets/plans has some.",
    });
  }
  const parsed = planSchema.safeParse(data, IN_WORDS);
  if (!parsed.success) throw invalid(source, explained(firstFault(parsed.error, data, planSchema)));
  return parsed.data;
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

function invalid(source: string, { path, message, hint }: Fault): TidelineError {
  const field = fieldOf(path);
  return new TidelineError({
    code: "plan_invalid",
    message: field === "" ? `${source} ${message}` : `${source}: ${field}: ${message}`,
    file: source,
    ...(field !== "" && { field }),
    ...(hint !== undefined && { hint }),
  });
}
