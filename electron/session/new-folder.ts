/**
 * Folders that are to be made. Whether one can be is found out before the work whose result goes into it, and leaves
 * nothing behind.
 */
import { existsSync, mkdirSync } from "node:fs";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type ErrorCode, TidelineError } from "../../core/errors.ts";
import { draftOf, isErrno, pathProblem } from "./files.ts";

/**
 * Finds out whether a checkpoint can be written there.
 * @throws TidelineError `bad_argument` when the folder holds something or is a file, `checkpoint_unwritable` where none can
 * be made.
 */
export async function requireNewFolder(folder: string): Promise<void> {
  const path = resolve(folder);
  try {
    if (existsSync(path)) await requireEmpty(path);
    const probe = draftOf(join(nearestAbove(path), basename(path)));
    await mkdir(probe);
    await rmdir(probe);
  } catch (error) {
    throw unwritable(path, error);
  }
}

/**
 * Makes a folder and those above it that are missing. Node's own `recursive` never returns where the system refuses one in
 * a folder that is there as if it were not, as Linux does below /proc.
 */
export function makeFolder(path: string, mode?: number): void {
  const missing: string[] = [];
  for (let folder = resolve(path); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
  for (const folder of missing) {
    try {
      mkdirSync(folder, mode);
    } catch (error) {
      // Somebody else was faster.
      if (!isErrno(error) || error.code !== "EEXIST") throw error;
    }
  }
}

/** `makeFolder` for a folder of this program's own. @throws TidelineError of `code` that names it and says what it is for. */
export function makeOwnFolder(
  path: string,
  { code, purpose, hint, mode }: { readonly code: ErrorCode; purpose: string; hint: string; mode?: number },
): void {
  try {
    makeFolder(path, mode);
  } catch (error) {
    const { problem } = pathProblem(error, "writing");
    throw new TidelineError(
      { code, message: `${path}, the folder for ${purpose}, ${problem}`, hint, file: path },
      { cause: error },
    );
  }
}

/** What kept a checkpoint from being written to `path`, in words; an error that has its own keeps it. */
export function unwritable(path: string, cause: unknown): unknown {
  if (!isErrno(cause)) return cause;
  const { problem, hint } = pathProblem(cause, "writing");
  return new TidelineError(
    { code: "checkpoint_unwritable", message: `${path} ${problem}`, hint, file: path },
    { cause },
  );
}

async function requireEmpty(path: string): Promise<void> {
  if ((await readdir(path)).length === 0) return;
  throw new TidelineError({
    code: "bad_argument",
    message: `${path} is not empty`,
    hint: "Choose a new folder: a checkpoint is never written over files.",
    file: path,
  });
}

/** The innermost folder above `path` that is there. */
function nearestAbove(path: string): string {
  let folder = dirname(path);
  while (!existsSync(folder)) folder = dirname(folder);
  return folder;
}
