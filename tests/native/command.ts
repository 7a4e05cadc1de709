/** The `tideline` command as people run it: the built one, in a process of its own. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

export const BUILT_COMMAND = resolve("dist/tideline.js");

/** Runs it to its end. */
export function tideline(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BUILT_COMMAND, ...args], {
    encoding: "utf8",
    env: { ...process.env, FORCE_COLOR: "0" },
  });
  return { code: status, out: stdout, error: stderr };
}
