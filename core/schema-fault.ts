/** What is wrong with data that a person wrote, in words: the field, what stands there, what is allowed. */
import { z } from "zod";

export type FieldPath = readonly PropertyKey[];

export interface Fault {
  readonly path: FieldPath;
  /** "is 3", "is missing": comes after the field's name. */
  readonly message: string;
  readonly hint?: string;
}

/**
 * The first thing that a schema refuses, which parsed with `IN_WORDS`.
 * @param schema Given, a field that is not one is told with those that are.
 */
export function firstFault(error: z.ZodError, data: unknown, schema?: z.core.$ZodType): Fault {
  const [first] = error.issues;
  if (first === undefined) return { path: [], message: "is not valid" };
  const issue = misspelt(first, error.issues, data) ?? first;
  const fault = faultOf(issue, data, []);
  if (schema === undefined || fault.message !== UNKNOWN_FIELD || fault.hint !== undefined) return fault;
  const fields = fieldsAt(schema, fault.path.slice(0, -1), data);
  return fields.length === 0 ? fault : { ...fault, hint: allowed(fields) };
}

/** For `safeParse`: what a schema with no words of its own asks for, in ours. */
export const IN_WORDS = { error: requirementOf } as const;

const TYPES: Readonly<Record<string, string>> = {
  number: "a number",
  int: "a whole number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "an object",
  record: "an object",
};

/** undefined: zod says it well enough, or it is said otherwise (`faultOf`). */
function requirementOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case "too_small":
      return limit(issue.origin, issue.inclusive === false ? "greater than" : "at least", issue.minimum);
    case "too_big":
      return limit(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "invalid_key":
      return `must not have this name: it ${issue.issues[0]?.message ?? "is not allowed"}`;
    default:
      return undefined;
  }
}

function limit(origin: string, relation: string, bound: number | bigint): string {
  if (origin === "string") return `must be text of ${relation} ${bound} characters`;
  if (origin === "array") return `must be a list of ${relation} ${bound}`;
  return `must be ${relation} ${bound}`;
}

/** A field that is missing may be there under another name, which says more. */
function misspelt(missing: z.core.$ZodIssue, issues: readonly z.core.$ZodIssue[], data: unknown) {
  if (missing.path.length === 0 || valueAt(data, missing.path) !== undefined) return undefined;
  const place = fieldOf(missing.path.slice(0, -1));
  return issues.find(({ code, path }) => code === "unrecognized_keys" && fieldOf(path) === place);
}

export const UNKNOWN_FIELD = "is not a field here";

function faultOf(issue: z.core.$ZodIssue, data: unknown, within: FieldPath): Fault {
  const path = [...within, ...issue.path];
  const given = valueAt(data, path);
  const is = given === undefined ? "is missing" : `is ${shown(given)}`;
  switch (issue.code) {
    case "invalid_value":
      return { path, message: is, hint: allowed(issue.values) };
    case "invalid_union": {
      if ("options" in issue && Array.isArray(issue.options))
        return { path, message: is, hint: allowed(issue.options) };
      const inner = deepest(issue.errors);
      return inner === undefined ? { path, message: is } : faultOf(inner, data, path);
    }
    case "unrecognized_keys":
      return { path: [...path, issue.keys[0] ?? ""], message: UNKNOWN_FIELD };
    case "custom":
      return { path, message: issue.message };
    default:
      return { path, message: `${is}: ${issue.message}` };
  }
}

/** Of the alternatives, the one that was meant is the one that was followed furthest. */
function deepest(alternatives: readonly (readonly z.core.$ZodIssue[])[]): z.core.$ZodIssue | undefined {
  const depth = (issue: z.core.$ZodIssue) => issue.path.length + (issue.code === "unrecognized_keys" ? 1 : 0);
  return alternatives
    .flatMap((issues) => issues.slice(0, 1))
    .toSorted((one, other) => depth(other) - depth(one))
    .at(0);
}

/** The fields of the object at a path; where alternatives have different ones, of those that the data can be. */
function fieldsAt(schema: z.core.$ZodType, path: FieldPath, data: unknown): readonly string[] {
  const [key, ...rest] = path;
  const fields = objectsIn(schema, data).flatMap(({ shape }) => {
    const inner = typeof key === "string" ? shape[key] : undefined;
    if (key === undefined) return Object.keys(shape);
    return inner === undefined ? [] : fieldsAt(inner, rest, valueAt(data, [key]));
  });
  return [...new Set(fields)];
}

function objectsIn(schema: z.core.$ZodType, data: unknown): readonly z.ZodObject[] {
  if (schema instanceof z.ZodObject) return isTagged(schema, data) ? [schema] : [];
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => objectsIn(option, data));
  const isWrapped =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodExactOptional;
  return isWrapped ? objectsIn(schema.unwrap(), data) : [];
}

/** Whether what an object must have word for word, such as its kind, is what the data has. */
function isTagged({ shape }: z.ZodObject, data: unknown): boolean {
  return Object.entries(shape).every(
    ([name, field]) => !(field instanceof z.ZodLiteral) || field.safeParse(valueAt(data, [name])).success,
  );
}

export function allowed(values: readonly unknown[]): string {
  return `allowed: ${values.map((value) => String(value)).join(", ")}`;
}

/** "phases[2].before[0].consumer" */
export function fieldOf(path: FieldPath): string {
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : `${at === 0 ? "" : "."}${String(key)}`))
    .join("");
}

export function valueAt(data: unknown, path: FieldPath): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

const MOST_SHOWN = 80;

function shown(value: unknown): string {
  // A number too large for a computer's has no JSON.
  const json = typeof value === "number" ? String(value) : JSON.stringify(value);
  return json.length <= MOST_SHOWN ? json : `${json.slice(0, MOST_SHOWN)}…`;
}
