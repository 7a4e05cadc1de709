/**
 * Finds the golden cases under the folders a person names: a case's own folder, or any folder above it.
 */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { TidelineError } from "../../core/errors.ts";
import { CONFIG_FILE } from "../session/checkpoint.ts";
import { pathProblem } from "../session/files.ts";
import { GOLDEN_FILE } from "./golden-file.ts";
import { isMemoryFile } from "./memory-file.ts";

export interface CaseFolder {
  readonly path: string;
  readonly kind: "checkpoint" | "ppo" | "memory";
}

/** `fixtures/checkpoints/NAME` is two below what one may reasonably name. */
const MAX_DEPTH = 3;

/** @throws TidelineError bad_argument when a folder holds no case, or cannot be read. */
export async function findCases(folders: readonly string[]): Promise<readonly CaseFolder[]> {
  const found: CaseFolder[] = [];
  for (const folder of folders) {
    const cases = await casesIn(resolve(folder), MAX_DEPTH);
    if (cases.length === 0) {
      throw new TidelineError({
        code: "bad_argument",
        message: `${folder} holds no golden case`,
        hint: `Name a folder with ${CONFIG_FILE}, weights and ${GOLDEN_FILE}, or a folder of such folders.`,
        file: folder,
      });
    }
    found.push(...cases);
  }
  return found;
}

async function casesIn(path: string, depth: number): Promise<readonly CaseFolder[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((cause: unknown) => {
    const { problem, hint } = pathProblem(cause, "listing");
    throw new TidelineError({ code: "bad_argument", message: `${path} ${problem}`, file: path, hint }, { cause });
  });
  const names = new Set(entries.map(({ name }) => name));
  if (names.has(GOLDEN_FILE)) return [{ path, kind: names.has(CONFIG_FILE) ? "checkpoint" : "ppo" }];
  if ([...names].some(isMemoryFile)) return [{ path, kind: "memory" }];
  if (depth === 0) return [];
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
  return (await Promise.all(below.sort().map((folder) => casesIn(folder, depth - 1)))).flat();
}
