/** One at a time per clone, however many commands were started. */
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { LaunchError } from "./tools.mjs";

const LOOK_MS = 200;
/** Whoever makes a lock writes into it at once: one that has stayed empty for so long is of a process that ended before. */
const WRITTEN_WITHIN_MS = 10_000;

/**
 * Does `work` while this process holds the lock; one whose process is gone is taken over.
 * @param {string} lock a file in a folder that is there
 * @param {() => void} onWait called once if somebody else holds it
 * @param {() => Promise<void>} work
 * @throws {LaunchError} where the lock cannot be made; what `work` throws
 */
export async function withLock(lock, onWait, work) {
  for (let waited = false; !take(lock); ) {
    if (!isHeldByTheLiving(lock)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!waited) onWait();
    waited = true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/**
 * @param {string} lock
 * @returns {boolean} false where there is one
 */
function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    const why = error instanceof Error ? error.message : String(error);
    throw new LaunchError(
      `${lock} cannot be written: ${why}`,
      "this user has to be able to write there, and space left",
    );
  }
}

/** @param {string} lock */
function isHeldByTheLiving(lock) {
  try {
    const text = readFileSync(lock, "utf8");
    if (text === "") return Date.now() - statSync(lock).mtimeMs < WRITTEN_WITHIN_MS;
    return process.kill(Number(text), 0);
  } catch (error) {
    // A process of somebody else may not be signalled, and is there.
    return codeOf(error) === "EPERM";
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
