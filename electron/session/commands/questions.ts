/** Commands that only look: the state, what was recorded, folders of the machine, and the list of recent ones. */
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { TidelineError } from "../../../core/errors.ts";
import { CONFIG_FILE } from "../checkpoint.ts";
import { exists, pathProblem } from "../files.ts";
import type { Handlers } from "./context.ts";

/** Folders listed at most: a person looks for one of them. */
const MAX_FOLDERS = 2000;

export const questionCommands: Handlers<"observe" | "history" | "list_folder" | "forget_recent"> = {
  observe: async (_, { state }) => state(),

  history: async ({ sinceSeconds, maxRows }, { recorder, device }) => ({
    ...recorder.history(sinceSeconds, maxRows),
    steps: device.run?.steps ?? [],
  }),

  list_folder: async ({ path }) => listFolder(path),

  forget_recent: async ({ path }, { settings, changed }) => {
    settings.forgetRecent(path);
    changed();
    return {};
  },
};

/** The folders in a folder, home when `given` is empty; `~` is the home folder. */
async function listFolder(given: string) {
  const path = resolve(given === "" ? homedir() : given.replace(/^~(?=$|\/)/, homedir()));
  const parent = dirname(path);
  let entries: Awaited<ReturnType<typeof readFolder>>;
  try {
    entries = await readFolder(path);
  } catch (cause) {
    const { problem, hint } = pathProblem(cause, "listing");
    throw new TidelineError(
      { code: "checkpoint_unreadable", message: `${path} ${problem}`, hint, file: path },
      { cause },
    );
  }
  const folders = entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."))
    .slice(0, MAX_FOLDERS)
    .sort((a, b) => a.name.localeCompare(b.name));
  return {
    path,
    ...(parent === path ? {} : { parent }),
    folders: await Promise.all(
      folders.map(async ({ name }) => {
        const folder = join(path, name);
        return { name, path: folder, isCheckpoint: await exists(join(folder, CONFIG_FILE)) };
      }),
    ),
  };
}

function readFolder(path: string) {
  return readdir(path, { withFileTypes: true });
}
