/**
 * Files that a person names. What keeps one from being read is said in words, with the file; how large it is, is asked
 * before it is read, and text is text in UTF-8, with or without a byte order mark.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { type ErrorCode, TidelineError } from "../../core/errors.ts";
import { formatBytes } from "../../core/units.ts";
import { isErrno, pathProblem } from "./files.ts";

/** How files of a kind are refused. */
export interface FileKind {
  readonly missing: ErrorCode;
  /** For a folder or a pipe, and for what may not be read. */
  readonly unreadable: ErrorCode;
  /** For what is too large, or no text. */
  readonly invalid: ErrorCode;
  /** How one gets a good one; left out, what follows from what is wrong. */
  readonly hint?: string;
}

export const CHECKPOINT_FILE: FileKind = {
  missing: "checkpoint_unreadable",
  unreadable: "checkpoint_unreadable",
  invalid: "checkpoint_invalid",
};

/** One that a person names by its path, for what is refused under no code of its own. */
export const NAMED_FILE = { missing: "not_found", unreadable: "bad_argument", invalid: "bad_argument" } as const;

/**
 * A whole text file.
 * @throws TidelineError of its kind.
 */
export async function readTextFile(file: string, maxBytes: number, kind = CHECKPOINT_FILE): Promise<string> {
  const refuse = (problem: string, hint: string) =>
    new TidelineError({ code: kind.invalid, message: `${file} ${problem}`, file, hint: kind.hint ?? hint });
  return withFile(
    file,
    async (handle, fileBytes) => {
      if (fileBytes > maxBytes) {
        const problem = `has ${formatBytes(fileBytes)}: must have at most ${formatBytes(maxBytes)}`;
        throw refuse(problem, "Check that it is the file that is meant: one of its kind is smaller.");
      }
      const bytes = await handle.readFile();
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      } catch {
        throw refuse("is not text in UTF-8", "Check that it is the file that is meant, or save it as UTF-8.");
      }
    },
    kind,
  );
}

/**
 * Opens a file for the length of `use`; anything else (a folder, a pipe that would block) is refused.
 * @throws TidelineError of its kind; what `use` throws.
 */
export async function withFile<T>(
  file: string,
  use: (handle: FileHandle, fileBytes: number) => Promise<T>,
  kind = CHECKPOINT_FILE,
): Promise<T> {
  const refuse = (code: ErrorCode, problem: string, hint: string, cause?: unknown) =>
    new TidelineError({ code, message: `${file} ${problem}`, file, hint }, { cause });
  try {
    const info = await stat(file);
    if (!info.isFile()) {
      const problem = info.isDirectory() ? "is a folder, not a file" : "is not a file";
      throw refuse(kind.unreadable, problem, kind.hint ?? "Give the name of a file.");
    }
    const handle = await open(file, "r");
    try {
      return await use(handle, info.size);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TidelineError) throw error;
    const { problem, hint } = pathProblem(error, "reading");
    const isMissing = isErrno(error) && (error.code === "ENOENT" || error.code === "ENOTDIR");
    throw isMissing
      ? refuse(kind.missing, problem, kind.hint ?? hint, error)
      : refuse(kind.unreadable, problem, hint, error);
  }
}
