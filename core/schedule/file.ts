/**
 * A schedule as a file: JSON, one action per line, that a person edits by hand. Whatever is wrong with it is said with the
 * file, the phase, the field and what is allowed there.
 */
import type { TidelineError } from "../errors.ts";
import { type Fault, type FieldPath, refusal, valueAt } from "../input/fault.ts";
import { parseJson } from "../input/json.ts";
import { parseWith } from "../input/schema-fault.ts";
import { castOf } from "./residency.ts";
import { type Action, itemsOf, type Roles, type Schedule, scheduleSchema } from "./schedule.ts";
import { NEEDS, WORKS, type Work } from "./works.ts";

/**
 * The schedule in a file's text. It is well-formed then; whether its memory works out is `checkSchedule`'s question.
 * @throws TidelineError `schedule_invalid` with file and field.
 */
export function parseSchedule(text: string, file: string): Schedule {
  return scheduleFrom(parseJson(text, { name: file, code: "schedule_invalid" }, { refuseDuplicates: true }), file);
}

/**
 * The schedule in parsed JSON.
 * @param name Names it in errors: a file, or "the schedule".
 * @throws TidelineError `schedule_invalid` with file and field.
 */
export function scheduleFrom(data: unknown, name: string): Schedule {
  const schedule = parseWith(scheduleSchema, data, (fault) => invalid(name, fault, data));
  const fault = findOrderFault(schedule) ?? findActionFault(schedule);
  if (fault !== undefined) throw invalid(name, fault, data);
  return schedule;
}

/** The text of a schedule's file, laid out to be read: one line per action. */
export function formatSchedule(schedule: Schedule): string {
  const line = (value: unknown) => JSON.stringify(value, undefined, 1).replace(/\n */g, " ");
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

function invalid(name: string, fault: Fault, data: unknown): TidelineError {
  return refusal({ name, code: "schedule_invalid" }, fault, { place: describePath(fault.path, data) });
}

/** "phase 3 (score_reference), before, action 1, consumer" */
function describePath(path: FieldPath, data: unknown): string {
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

/** Each work once, and after those whose results it computes with. */
function findOrderFault({ phases }: Schedule): Fault | undefined {
  const done = new Set<Work>();
  for (const [index, { work }] of phases.entries()) {
    const path = ["phases", index, "work"];
    if (done.has(work)) return { path, message: `is a second ${work}`, hint: "a step does each work once" };
    for (const needed of NEEDS[work].results) {
      if (done.has(needed)) continue;
      const later = phases.some((phase) => phase.work === needed);
      return {
        path,
        message: `needs the results of ${needed}, which ${later ? "comes later" : "is not in the schedule"}`,
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
    return { path: ["consumer"], message: "has no weights: the reward is a rule", hint: "take this action out" };
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
    const message = `cannot be "share": ${roles.policy} weights of the policy cannot be the engine's ${roles.engine} ones`;
    return { path: ["method"], message, hint: "allowed: copy, bucketed" };
  }
  if (cast !== needed) {
    const is = cast === undefined ? "is missing" : `is ${cast}`;
    const hint = needed === undefined ? "leave it out: both have one precision" : `allowed: ${needed}`;
    return { path: ["cast"], message: `${is}, and policy is ${roles.policy}, engine ${roles.engine}`, hint };
  }
  return undefined;
}
