/**
 * Where a report goes. Whether it can go there is found out before a run begins, not after hours of it; and the file
 * appears only when it is complete.
 */
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { TidelineError } from "../../core/errors.ts";
import { draftOf, isErrno, pathProblem } from "../session/files.ts";

/**
 * Finds out whether a file can be written there.
 * @throws TidelineError `bad_argument` naming it.
 */
export async function requireWritable(file: string): Promise<void> {
  const path = resolve(file);
  if ((await stat(path).catch(() => undefined))?.isDirectory()) {
    throw unwritable(path, "is a folder, not a file", "Give the name of a file in it.");
  }
  const draft = draftOf(path);
  try {
    await writeFile(draft, "", { flag: "wx" });
    await rm(draft);
  } catch (error) {
    throw refusal(path, error);
  }
}

/** @throws TidelineError `bad_argument` for what cannot be written; what was there before is still there then. */
export async function writeReport(file: string, html: string): Promise<void> {
  const path = resolve(file);
  const draft = draftOf(path);
  try {
    await writeFile(draft, html);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw refusal(path, error);
  }
}

function refusal(path: string, cause: unknown): TidelineError {
  const { problem, hint } = pathProblem(cause, "writing");
  const isLost = isErrno(cause) && cause.code === "ENOENT";
  return isLost
    ? unwritable(path, `cannot be written: there is no folder ${dirname(path)}`, "Make the folder first.", cause)
    : unwritable(path, problem, hint, cause);
}

function unwritable(file: string, problem: string, hint: string, cause?: unknown): TidelineError {
  return new TidelineError({ code: "bad_argument", message: `${file} ${problem}`, file, hint }, { cause });
}
