/** What several test files need is built once for all of a run: they are processes of their own that share the temporary folder. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** @returns the file that `build` wrote, here or in another process. */
export async function builtOnce(
  name: string,
  build: (output: string, folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(tmpdir(), `tideline-built-${name}`);
  const file = join(folder, name);
  for (;;) {
    try {
      mkdirSync(folder);
      break;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    // Another file builds it; where that fails the folder goes, and whoever comes next tries again.
    while (existsSync(folder)) {
      if (existsSync(file)) return file;
      await sleep(50);
    }
  }
  try {
    const unfinished = join(folder, "unfinished");
    await build(unfinished, folder);
    renameSync(unfinished, file);
    return file;
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
}
