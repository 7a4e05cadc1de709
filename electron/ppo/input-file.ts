/** Files of a run that a person names: a workload, a schedule. What keeps one from being read is said in words. */
import { readFile } from "node:fs/promises";
import { TidelineError, type TidelineErrorData } from "../../core/errors.ts";

/** What each is, and how one gets one. */
const HINTS = {
  workload: "Give the JSON file of a workload; one to copy from is assets/demo-ppo/workload.json of Tideline.",
  schedule: "Give the JSON file of a schedule; `tideline run --print-schedule` prints one to edit.",
} as const;

/**
 * The text of a file.
 * @throws TidelineError `not_found` where there is none, `bad_argument` for what is no file or may not be read.
 */
export async function readInputFile(file: string, kind: keyof typeof HINTS): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new TidelineError({ ...problemOf(file, kind, cause), hint: HINTS[kind], file }, { cause });
  }
}

/** @throws TidelineError `bad_argument` for text that is not JSON. */
export async function readJsonFile(file: string, kind: keyof typeof HINTS): Promise<unknown> {
  const text = await readInputFile(file, kind);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `the ${kind} ${file} is not JSON: ${why}`;
    throw new TidelineError({ code: "bad_argument", message, hint: HINTS[kind], file }, { cause });
  }
}

function problemOf(file: string, kind: string, cause: unknown): Pick<TidelineErrorData, "code" | "message"> {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return { code: "not_found", message: `there is no ${kind} file ${file}` };
    case "EISDIR":
      return { code: "bad_argument", message: `${file} is a folder, and no ${kind} file` };
    case "EACCES":
    case "EPERM":
      return { code: "bad_argument", message: `the ${kind} file ${file} may not be read by this user` };
    default: {
      const why = cause instanceof Error ? cause.message : String(cause);
      return { code: "bad_argument", message: `the ${kind} file ${file} cannot be read: ${why}` };
    }
  }
}
