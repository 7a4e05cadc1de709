/** What every user of the file system asks, and Node's `fs` leaves to them. */
import { access } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** An error of the system: its `code` says what kind. */
export function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && "syscall" in error;
}

/** What comes after a path in a sentence, and what to do about it. */
export interface PathProblem {
  readonly problem: string;
  readonly hint: string;
}

const PERMISSIONS = "Change its permissions, or choose another place.";
const READING: Readonly<Record<string, PathProblem>> = {
  ENOENT: { problem: "does not exist", hint: "Check the path." },
  ENOTDIR: { problem: "does not exist: a part of the path is a file", hint: "Check the path." },
  EISDIR: { problem: "is a folder, not a file", hint: "Give the name of a file in it." },
  EACCES: { problem: "may not be read by this user", hint: PERMISSIONS },
  EPERM: { problem: "may not be read by this user", hint: PERMISSIONS },
  ELOOP: { problem: "is a link that leads back to itself", hint: "Give the file that is meant." },
  ENAMETOOLONG: { problem: "has too long a name", hint: "Check the path." },
  EMFILE: { problem: "cannot be opened: too many files are open", hint: "Close other programs and try again." },
  // Node's own, for a name with a zero in it.
  ERR_INVALID_ARG_VALUE: { problem: "is not a path", hint: "Check the path." },
  EIO: { problem: "cannot be read from its disk", hint: "Copy it to another disk, or get it again." },
};
const LISTING: Readonly<Record<string, PathProblem>> = {
  ...READING,
  ENOTDIR: { problem: "is not a folder", hint: "Choose a folder, not a file in it." },
};
const WRITING: Readonly<Record<string, PathProblem>> = {
  ENOENT: {
    problem: "cannot be written: there is no folder for it",
    hint: "Make the folder, or choose another place.",
  },
  ENOTDIR: { problem: "cannot be written: a file is in the way", hint: "Choose another place." },
  EEXIST: { problem: "cannot be written: a file is in the way", hint: "Choose another place." },
  EISDIR: { problem: "is a folder, not a file", hint: "Give the name of a file in it." },
  EACCES: { problem: "cannot be written: this user may not write there", hint: PERMISSIONS },
  EPERM: { problem: "cannot be written: this user may not write there", hint: PERMISSIONS },
  EROFS: { problem: "cannot be written: that disk can only be read", hint: "Choose a place on another disk." },
  ENOSPC: { problem: "cannot be written: no space is left on its disk", hint: "Free space or choose another disk." },
};

const WAYS = {
  reading: { known: READING, problem: "cannot be read" },
  listing: { known: LISTING, problem: "cannot be opened" },
  writing: { known: WRITING, problem: "cannot be written" },
} as const;

/** What keeps a file from being read or written or a folder from being listed: the system's own words are for programmers. */
export function pathProblem(cause: unknown, way: keyof typeof WAYS): PathProblem {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const { known, problem } = WAYS[way];
  return known[code] ?? { problem: code === "" ? problem : `${problem} (${code})`, hint: "Choose another place." };
}

/** Where a file or folder is put together: beside it, because only within one file system does a rename move at once. */
export function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.partial`);
}
