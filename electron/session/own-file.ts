/**
 * A JSON file of this program's own, in the user's configuration folder (TIDELINE_CONFIG_DIR puts it elsewhere). Text that
 * is no JSON object is set aside, and the program starts as if there were no file; what cannot be read or written at all is
 * refused in words.
 */
import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import Conf from "conf";
import { TidelineError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../core/input/json.ts";
import { formatBytes } from "../../core/units.ts";
import { type PathProblem, pathProblem } from "./files.ts";
import { makeOwnFolder } from "./new-folder.ts";
import { configPath, surroundings } from "./paths.ts";

/** Real ones have a few KiB. */
const MAX_BYTES = 4 * 2 ** 20;

export interface OwnFile<Content extends Record<string, unknown>> {
  /** What is in it, which may be anything. */
  readonly stored: Readonly<Record<string, unknown>>;
  /** @throws TidelineError `bad_argument` where it cannot be written. */
  save(content: Content): void;
}

/**
 * The file `name`.json of `directory`, or of the user's own configuration folder.
 * @throws TidelineError `bad_argument` naming what cannot be made or read.
 */
export function openOwnFile<Content extends Record<string, unknown>>(
  name: string,
  directory = configPath(surroundings()),
): OwnFile<Content> {
  const hint = "TIDELINE_CONFIG_DIR names it: choose another one.";
  makeOwnFolder(directory, { code: "bad_argument", purpose: "settings", hint });
  const path = join(directory, `${name}.json`);
  const read = <T>(act: () => T): T => {
    const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
    if (size > MAX_BYTES)
      throw unreadable(path, `has ${formatBytes(size)}: must have at most ${formatBytes(MAX_BYTES)}`);
    try {
      return act();
    } catch (cause) {
      if (cause instanceof SyntaxError && setAside(path)) return read(act);
      throw unreadable(path, pathProblem(cause, "reading").problem, cause);
    }
  };
  const file = read(
    () =>
      new Conf({
        cwd: directory,
        configName: name,
        clearInvalidConfig: false,
        deserialize: parseObject,
      }),
  );
  return {
    get stored() {
      return read(() => file.store);
    },
    save(content) {
      try {
        file.store = content;
      } catch (cause) {
        throw refusal(path, pathProblem(cause, "writing"), cause);
      }
    },
  };
}

/** @throws SyntaxError for text that is anything else. */
function parseObject(text: string): JsonObject {
  // Some editors save a byte order mark.
  const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ""));
  if (!isJsonObject(value)) throw new SyntaxError("not an object");
  return value;
}

/** False where it cannot be moved: then it is what cannot be read. */
function setAside(path: string): boolean {
  const aside = `${path}.unreadable`;
  try {
    renameSync(path, aside);
  } catch {
    return false;
  }
  console.error(
    `tideline: ${path} does not hold a JSON object: it is kept as ${aside}, and Tideline starts without it`,
  );
  return true;
}

function unreadable(path: string, problem: string, cause?: unknown): TidelineError {
  return refusal(path, { problem, hint: "Move it away: Tideline makes a new one." }, cause);
}

function refusal(path: string, { problem, hint }: PathProblem, cause?: unknown): TidelineError {
  return new TidelineError({ code: "bad_argument", message: `${path} ${problem}`, file: path, hint }, { cause });
}
