/** What a schema refuses, in words of our own: zod's differ between versions, and speak to programmers. */
import { z } from "zod";
import type { TidelineError } from "../errors.ts";
import { allowed, type Fault, type FieldPath, fieldOf, shown, valueAt } from "./fault.ts";

/**
 * The data as the schema reads it.
 * @param refuse The error of the first field that is not as it has to be; `refusal` for most.
 */
export function parseWith<T>(schema: z.ZodType<T>, data: unknown, refuse: (fault: Fault) => TidelineError): T {
  const parsed = safeParseWith(schema, data);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  if (first === undefined) throw refuse({ path: [], message: "is not as it has to be" });
  const fault = faultOf(misspelt(first, parsed.error.issues, data) ?? first, data, []);
  if (fault.message !== UNKNOWN_FIELD) throw refuse(fault);
  const fields = fieldsAt(schema, fault.path.slice(0, -1), data);
  throw refuse(fields.length === 0 ? fault : { ...fault, hint: allowed(fields) });
}

/** For whoever shows every field's fault beside the field, where what was given stands already. */
export function safeParseWith<T>(schema: z.ZodType<T>, data: unknown): z.ZodSafeParseResult<T> {
  return schema.safeParse(data, { error: requirementOf });
}

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

/** What a schema with no words of its own asks for. */
function requirementOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      if (typeof issue.input === "number" && !Number.isFinite(issue.input)) return "must be a finite number";
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case "too_small":
      return limit(issue.origin, issue.inclusive === false ? "greater than" : "at least", issue.minimum);
    case "too_big":
      return limit(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_format":
      return `must have the form ${issue.pattern ?? issue.format}`;
    case "invalid_key":
      return `must not have this name: it ${issue.issues[0]?.message ?? "is not allowed"}`;
    case "invalid_union":
      return SAID_BY_ALTERNATIVES;
    default:
      return "must not be that";
  }
}

/** Of a union without words of its own. */
const SAID_BY_ALTERNATIVES = "";

function limit(origin: string, relation: string, bound: number | bigint): string {
  if (origin === "string") return `must be text of ${relation} ${bound} ${bound === 1 ? "character" : "characters"}`;
  if (origin === "array") return `must be a list of ${relation} ${bound}`;
  return `must be ${relation} ${bound}`;
}

/** A field that is missing may be there under another name, which says more. */
function misspelt(missing: z.core.$ZodIssue, issues: readonly z.core.$ZodIssue[], data: unknown) {
  if (missing.path.length === 0 || valueAt(data, missing.path) !== undefined) return undefined;
  const place = fieldOf(missing.path.slice(0, -1));
  return issues.find(({ code, path }) => code === "unrecognized_keys" && fieldOf(path) === place);
}

/** Its hint is which fields there are. */
export const UNKNOWN_FIELD = "is not a field here";

function faultOf(issue: z.core.$ZodIssue, data: unknown, within: FieldPath): Fault {
  const path = [...within, ...issue.path];
  const given = valueAt(data, path);
  const is = given === undefined ? "is missing" : `is ${shown(given)}`;
  switch (issue.code) {
    case "invalid_value":
      return { path, message: is, hint: allowed(issue.values) };
    case "invalid_union": {
      if (issue.message !== SAID_BY_ALTERNATIVES) return { path, message: `${is}: ${issue.message}` };
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
  if (typeof key === "number") return fieldsAt(schema, rest, valueAt(data, [key]));
  const fields = objectsIn(schema, data).flatMap(({ shape }) => {
    const inner = typeof key === "string" ? shape[key] : undefined;
    if (key === undefined) return Object.keys(shape);
    return inner === undefined ? [] : fieldsAt(inner, rest, valueAt(data, [key]));
  });
  return [...new Set(fields)];
}

/** Those that a value, or an entry of a list, can be. */
function objectsIn(schema: z.core.$ZodType, data: unknown): readonly z.ZodObject[] {
  if (schema instanceof z.ZodObject) return isTagged(schema, data) ? [schema] : [];
  if (schema instanceof z.ZodArray) return objectsIn(schema.element, data);
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
