/**
 * What is wrong with what came from outside (a file, a message, a line of text), in words: which field, what stands there,
 * what is allowed. Whoever reads such a thing refuses it through this, so that every refusal is one sentence.
 */
import { type ErrorCode, TidelineError } from "../errors.ts";

export type FieldPath = readonly PropertyKey[];

export interface Fault {
  readonly path: FieldPath;
  /** "is 3", "is missing": comes after the field's name, or the source's where the path is empty. */
  readonly message: string;
  readonly hint?: string;
}

/** Where data came from, and how it is refused. */
export interface Source {
  /** A file's path, or what a sentence can begin with: "the schedule". */
  readonly name: string;
  /** Of a message: nobody can look it up under its name. */
  readonly isMessage?: true;
  readonly code: ErrorCode;
  /** What to do next, where the fault does not say. */
  readonly hint?: string;
}

export interface RefusalDetails {
  /** The field as this kind of file calls it, where its path says less. */
  readonly place?: string;
  readonly tensor?: string | undefined;
  readonly cause?: unknown;
}

/** "mine.json: workload.batch is -1: must be at least 1" */
export function refusal(source: Source, fault: Fault, { place, tensor, cause }: RefusalDetails = {}): TidelineError {
  const field = fieldOf(fault.path);
  const where = field === "" ? source.name : `${source.name}: ${place ?? field}`;
  const hint = fault.hint ?? source.hint;
  return new TidelineError(
    {
      code: source.code,
      message: `${where} ${fault.message}`,
      ...(source.isMessage !== true && { file: source.name }),
      ...(field !== "" && { field }),
      ...(hint !== undefined && { hint }),
      ...(tensor !== undefined && { tensor }),
    },
    { cause },
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
const MOST_ENTRIES = 20;
const MOST_LEVELS = 3;

/** A value as a refusal shows it: JSON, cut short. */
export function shown(value: unknown): string {
  const text = outline(value, MOST_LEVELS);
  return text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN)}…`;
}

/** JSON of as much as can be shown: a stranger's value may be wider and deeper than can be written in one go. */
function outline(value: unknown, levels: number): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, MOST_SHOWN));
  // A number too large for a computer's has no JSON.
  if (typeof value !== "object" || value === null) return String(value);
  const inside = (inner: unknown) => (levels === 0 ? "…" : outline(inner, levels - 1));
  if (Array.isArray(value)) return `[${value.slice(0, MOST_ENTRIES).map(inside).join(",")}]`;
  const entries = Object.entries(value).slice(0, MOST_ENTRIES);
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${inside(inner)}`).join(",")}}`;
}
