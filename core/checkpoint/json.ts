/**
 * JSON of files that strangers wrote: every failure is a `checkpoint_invalid` that names the file, and keys that occur
 * twice (which JSON.parse hides by keeping the last) can be refused.
 */
import { TidelineError } from "../errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed value is a JSON object: no list, no null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface JsonOptions {
  readonly refuseDuplicates?: boolean;
  /** Which part of the file the text is, for errors. */
  readonly part?: string;
}

/**
 * The object in `text`.
 * @throws TidelineError checkpoint_invalid when it is not JSON, not an object, or (with `refuseDuplicates`) names a key twice.
 */
export function parseJsonObject(text: string, file: string, { refuseDuplicates, part }: JsonOptions = {}): JsonObject {
  const where = part === undefined ? file : `${file} (${part})`;
  const invalid = (problem: string, field?: string, cause?: unknown) =>
    new TidelineError(
      {
        code: "checkpoint_invalid",
        message: `${where} ${problem}`,
        hint: "The file is damaged or incomplete: download or export it again.",
        file,
        ...(field === undefined ? {} : { field }),
      },
      { cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw invalid(`is not JSON: ${why.replace(/\s+/g, " ")}`, part, cause);
  }
  if (!isJsonObject(value)) throw invalid("must hold a JSON object", part);
  const twice = refuseDuplicates ? findDuplicateKey(text) : undefined;
  if (twice !== undefined) throw invalid(`lists "${twice}" twice`, twice);
  return value;
}

/** The first key that one object of `json` (valid JSON) holds twice. */
export function findDuplicateKey(json: string): string | undefined {
  // One set of keys per open object; a list has none.
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(undefined);
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const start = at;
      at = endOfString(json, start);
      const keys = open.at(-1);
      if (keys === undefined || !isFollowedByColon(json, at + 1)) continue;
      const key = String(JSON.parse(json.slice(start, at + 1)));
      if (keys.has(key)) return key;
      keys.add(key);
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
