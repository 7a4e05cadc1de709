/**
 * A schedule as a file: JSON, one action per line, that a person edits by hand. Whatever is wrong with it is said with the
 * file, the phase, the field and what is allowed there.
 */
import type { z } from "zod";
import { findDuplicateKey } from "../checkpoint/json.ts";
import { TidelineError } from "../errors.ts";
import { castOf } from "./residency.ts";
import { type Action, itemsOf, type Roles, type Schedule, scheduleSchema } from "./schedule.ts";
import { NEEDS, WORKS, type Work } from "./works.ts";

type Path = readonly PropertyKey[];
interface Fault {
  readonly path: Path;
  readonly message: string;
  readonly hint?: string;
}

/**
 * The schedule in a file's text. It is well-formed then; whether its memory works out is `checkSchedule`'s question.
 * @throws TidelineError `schedule_invalid` with file and field.
 */
export function parseSchedule(text: string, file: string): Schedule {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, {
      path: [],
      message: `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
    });
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) throw invalid(file, { path: [], message: `lists "${twice}" twice in one place` });
  return scheduleFrom(data, file);
}

/**
 * The schedule in parsed JSON.
 * @param source Names it in errors: a file, or "the schedule".
 * @throws TidelineError `schedule_invalid` with file and field.
 */
export function scheduleFrom(data: unknown, source: string): Schedule {
  const parsed = scheduleSchema.safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(
      source,
      issue === undefined ? { path: [], message: "is not a schedule" } : faultOf(issue, data),
      data,
    );
  }
  const fault = findOrderFault(parsed.data) ?? findActionFault(parsed.data);
  if (fault !== undefined) throw invalid(source, fault, data);
  return parsed.data;
}

/** The text of a schedule's file, laid out to be read: one line per action. */
export function formatSchedule(schedule: Schedule): string {
  const line = (value: unknown) =>
    JSON.stringify(value, undefined, 1).replace(/\n */g, " ").replace(/\[ /g, "[").replace(/ \]/g, "]");
  const edge = (name: string, actions: readonly Action[]) =>
    actions.length === 0
      ? []
      : [`"${name}": [\n${actions.map((action) => `        ${line(action)}`).join(",\n")}\n      ]`];
  const phases = schedule.phases.map(
    ({ work, before, after }) =>
      `    {\n      ${[...edge("before", before), `"work": "${work}"`, ...edge("after", after)].join(",\n      ")}\n    }`,
  );
  const { phases: _, ...head } = schedule;
  const fields = Object.entries(head).map(([key, value]) => `  "${key}": ${line(value)}`);
  return `{\n${[...fields, `  "phases": [\n${phases.join(",\n")}\n  ]`].join(",\n")}\n}\n`;
}

// ---------------------------------------------------------------------------------------------------------------------
// Faults

function invalid(source: string, { path, message, hint }: Fault, data?: unknown): TidelineError {
  const place = describePath(path, data);
  return new TidelineError({
    code: "schedule_invalid",
    message: place === "" ? `${source} ${message}` : `${source}: ${place}: ${message}`,
    file: source,
    ...(path.length > 0 && { field: fieldOf(path) }),
    ...(hint !== undefined && { hint }),
  });
}

/** "phases[2].before[0].consumer" */
function fieldOf(path: Path): string {
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : `${at === 0 ? "" : "."}${String(key)}`))
    .join("");
}

/** "phase 3 (score_reference), before, action 1, consumer" */
function describePath(path: Path, data: unknown): string {
  const words: string[] = [];
  for (const [at, key] of path.entries()) {
    const list = path[at - 1];
    if (typeof key !== "number") {
      if (key !== "phases" || typeof path[at + 1] !== "number") words.push(String(key));
    } else if (list === "phases") {
      const work = valueAt(data, [...path.slice(0, at + 1), "work"]);
      words.push(`phase ${key + 1}${typeof work === "string" ? ` (${work})` : ""}`);
    } else {
      words.push(`action ${key + 1}`);
    }
  }
  return words.join(", ");
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function faultOf(issue: z.core.$ZodIssue, data: unknown): Fault {
  const { path } = issue;
  const given = valueAt(data, path);
  const is = given === undefined ? "is missing" : `is ${JSON.stringify(given)}`;
  const allowed = (values: readonly unknown[]) => `allowed: ${values.map((value) => String(value)).join(", ")}`;
  switch (issue.code) {
    case "invalid_value":
      return { path, message: is, hint: allowed(issue.values) };
    case "invalid_union":
      return { path, message: is, ...("options" in issue && { hint: allowed(issue.options as readonly unknown[]) }) };
    case "unrecognized_keys": {
      const [key = ""] = issue.keys;
      const where = path.length === 1 && path[0] === "roles" ? "is not a role" : "is not a field here";
      const fields = path.length === 1 && path[0] === "roles" ? { hint: allowed(ROLE_NAMES) } : {};
      return { path: [...path, key], message: where, ...fields };
    }
    default:
      return { path, message: `${is}: ${issue.message}` };
  }
}

const ROLE_NAMES: readonly (keyof Roles)[] = ["engine", "policy", "critic", "reference", "reward"];

/** Each work once, and after those whose results it computes with. */
function findOrderFault({ phases }: Schedule): Fault | undefined {
  const done = new Set<Work>();
  for (const [index, { work }] of phases.entries()) {
    const path = ["phases", index, "work"];
    if (done.has(work)) return { path, message: `${work} is there twice`, hint: "a step does each work once" };
    for (const needed of NEEDS[work].results) {
      if (done.has(needed)) continue;
      const later = phases.some((phase) => phase.work === needed);
      return {
        path,
        message: `${work} needs the results of ${needed}, which ${later ? "comes later" : "is not in the schedule"}`,
        hint: `the order is ${WORKS.join(", ")}`,
      };
    }
    done.add(work);
  }
  return undefined;
}

/** What one action says that cannot be meant, whatever the memory. */
function findActionFault(schedule: Schedule): Fault | undefined {
  for (const item of itemsOf(schedule)) {
    if (item.kind === "work") continue;
    const fault = actionFault(item.action, schedule.roles);
    if (fault !== undefined) return { ...fault, path: ["phases", item.phase, item.edge, item.position, ...fault.path] };
  }
  return undefined;
}

function actionFault(action: Action, roles: Roles): Fault | undefined {
  if (action.kind !== "swap") {
    if (action.consumer !== "reward.weights" || roles.reward !== "rule") return undefined;
    return { path: ["consumer"], message: "the reward is a rule and has no weights", hint: "take this action out" };
  }
  const { from, method, bucketBytes, cast } = action;
  if ((method === "bucketed") !== (bucketBytes !== undefined)) {
    const message = method === "bucketed" ? "is missing" : `has no meaning for method ${method}`;
    return { path: ["bucketBytes"], message, hint: "bucketed swaps have it, others do not" };
  }
  if (method === "share" && from === "engine.weights") {
    const message = "makes a cycle: the engine reads the policy's weights, not the other way round";
    return { path: ["method"], message, hint: "allowed: copy, bucketed" };
  }
  const needed = castOf(from, roles).cast;
  if (method === "share" && needed !== undefined) {
    const message = `${roles.policy} weights of the policy cannot be the engine's ${roles.engine} ones`;
    return { path: ["method"], message, hint: "allowed: copy, bucketed" };
  }
  if (cast !== needed) {
    const is = cast === undefined ? "is missing" : `is ${cast}`;
    const hint = needed === undefined ? "leave it out: both have one precision" : `allowed: ${needed}`;
    return { path: ["cast"], message: `${is}, and policy is ${roles.policy}, engine ${roles.engine}`, hint };
  }
  return undefined;
}
