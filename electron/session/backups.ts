/**
 * The folder of this process's backups to disk. A process that crashed could not remove its own, and a backup can be
 * as large as a GPU, so folders of processes that are gone are removed by the next one. The folder's name has the
 * machine in it, because a home folder may be shared between several.
 */
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { isErrno } from "./files.ts";
import { makeOwnFolder } from "./new-folder.ts";

/** The folder of this process below `parent`; nothing is made yet. */
export function ownBackupsFolder(parent: string): string {
  return join(parent, `${hostname()}-${process.pid}`);
}

/**
 * Makes a folder for backups, for this user alone.
 * @throws TidelineError `backup_io` naming it.
 */
export function makeBackupsFolder(path: string): void {
  const hint = "TIDELINE_CACHE_DIR names a folder to keep them in instead.";
  makeOwnFolder(path, { code: "backup_io", purpose: "backups", hint, mode: 0o700 });
}

/** Removes what processes of this machine left behind that are not running any more, but for what cannot be; never rejects. */
export async function removeStaleBackups(parent: string): Promise<void> {
  const prefix = `${hostname()}-`;
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : Number.NaN;
    if (!Number.isSafeInteger(pid) || isRunning(pid)) continue;
    const folder = join(parent, name);
    await rm(folder, { recursive: true, force: true }).catch((error: unknown) =>
      console.error(`tideline: old backups in ${folder} cannot be removed:`, error),
    );
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // A process of somebody else may not be signalled, and is there.
    return isErrno(error) && error.code === "EPERM";
  }
}
