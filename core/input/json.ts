/**
 * JSON that strangers wrote: what is none is refused with its place, in words of our own, and names that occur twice
 * (which JSON.parse hides by keeping the last) can be refused.
 */
import { type Fault, type FieldPath, refusal, type Source } from "./fault.ts";
import { findSyntaxFault } from "./json-syntax.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed value is a JSON object: no list, no null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface JsonOptions {
  readonly refuseDuplicates?: boolean;
  /** Which part of the source the text is, for errors. */
  readonly part?: string;
}

/**
 * The value in `text`.
 * @throws TidelineError of `source` when it is empty, not JSON, or (with `refuseDuplicates`) names a field twice.
 */
export function parseJson(text: string, source: Source, { refuseDuplicates, part }: JsonOptions = {}): unknown {
  const path: FieldPath = part === undefined ? [] : [part];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const { message, hint } = problemOf(text);
    // The source's own hint says how one gets a good one.
    throw refusal({ hint, ...source }, { path, message }, { cause });
  }
  const twice = refuseDuplicates ? findDuplicate(text) : undefined;
  if (twice !== undefined) throw refusal(source, { path: twice, message: "is there twice" });
  return value;
}

/** `parseJson` for text that holds an object. */
export function parseJsonObject(text: string, source: Source, options: JsonOptions = {}): JsonObject {
  const value = parseJson(text, source, options);
  if (isJsonObject(value)) return value;
  const { part } = options;
  throw refusal(source, { path: part === undefined ? [] : [part], message: "must hold a JSON object: { … }" });
}

function problemOf(text: string): Required<Omit<Fault, "path">> {
  if (text.trim() === "") return { message: "is empty", hint: CUT_SHORT };
  const { line, column, found, wanted } = findSyntaxFault(text);
  return found === undefined
    ? { message: `is not JSON: it ends in line ${line}, where ${wanted} has to follow`, hint: CUT_SHORT }
    : { message: `is not JSON: line ${line}, column ${column} has ${found} where ${wanted} has to be`, hint: RULES };
}

const CUT_SHORT = "Save or copy it again, whole.";
const RULES = "JSON has names and text in double quotes, no comments, and no comma before a closing bracket.";

/** Where one object of `json` (valid JSON) holds a name for the second time. */
export function findDuplicate(json: string): FieldPath | undefined {
  // Of each open object and list: the name or index that is read now, and the names before it.
  const open: { at: string | number; readonly names?: Set<string> }[] = [];
  for (let at = 0; at < json.length; at++) {
    const inner = open.at(-1);
    switch (json[at]) {
      case "{":
        open.push({ at: "", names: new Set() });
        break;
      case "[":
        open.push({ at: 0 });
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case ",":
        if (typeof inner?.at === "number") inner.at++;
        break;
      case '"': {
        const start = at;
        at = endOfString(json, start);
        if (inner?.names === undefined || !isFollowedByColon(json, at + 1)) break;
        const name = String(JSON.parse(json.slice(start, at + 1)));
        inner.at = name;
        if (inner.names.has(name)) return open.map((place) => place.at);
        inner.names.add(name);
      }
    }
  }
  return undefined;
}

/** Where the string that opens at `start` has its closing quote. A loop: regular expressions overflow on long strings. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at;
}

function isFollowedByColon(json: string, start: number): boolean {
  let at = start;
  while (" \t\r\n".includes(json[at] ?? "}")) at++;
  return json[at] === ":";
}
