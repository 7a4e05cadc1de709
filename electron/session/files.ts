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

/** Where a file or folder is put together: beside it, because only within one file system does a rename move at once. */
export function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.partial`);
}
