/**
 * A JSON file of this program's own, in the user's configuration folder (TIDELINE_CONFIG_DIR puts it elsewhere). Text that
 * is no JSON counts as nothing, as nobody wrote it by hand; what cannot be read or written at all is said in words.
 */
import { join } from "node:path";
import Conf from "conf";
import { TidelineError } from "../../core/errors.ts";
import { pathProblem } from "./files.ts";
import { makeOwnFolder } from "./new-folder.ts";

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
  directory = process.env.TIDELINE_CONFIG_DIR,
): OwnFile<Content> {
  if (directory !== undefined) {
    const hint = "TIDELINE_CONFIG_DIR names it: choose another one.";
    makeOwnFolder(directory, { code: "bad_argument", purpose: "settings", hint });
  }
  const path = directory === undefined ? `${name}.json in the configuration folder` : join(directory, `${name}.json`);
  const options = { projectName: "tideline", projectSuffix: "", configName: name, clearInvalidConfig: true };
  // It reads the file once already.
  const file = inWords(
    path,
    "reading",
    () => new Conf({ ...options, ...(directory !== undefined && { cwd: directory }) }),
  );
  return {
    get stored() {
      return inWords(file.path, "reading", () => file.store);
    },
    save(content) {
      inWords(file.path, "writing", () => {
        file.store = content;
      });
    },
  };
}

function inWords<T>(path: string, way: "reading" | "writing", act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const { problem, hint } = pathProblem(cause, way);
    throw new TidelineError({ code: "bad_argument", message: `${path} ${problem}`, file: path, hint }, { cause });
  }
}
