/** A machine that gives no more threads (a container's limit, or no addresses for their stacks) computes with those it gave. */
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { ADDON_FILE, withFolder } from "../../support.ts";

const NATIVE = resolve(import.meta.dirname, "../../../../native");
/** Its runtime reserves more addresses than the program leaves itself. */
const isSanitized = process.env.TIDELINE_ADDON?.includes("sanitize") === true;

test.skipIf(isSanitized)("compute threads that cannot all be started do the work all the same", async () => {
  await withFolder(async (folder) => {
    const program = join(folder, "threads");
    const library = join(ADDON_FILE, "../../libtideline_core.a");
    const source = join(import.meta.dirname, "threads.cc");
    const flags = ["-std=c++20", "-O1", `-I${NATIVE}`];
    execFileSync(process.env.CXX ?? "c++", [...flags, source, library, "-lpthread", "-ldl", "-o", program]);
    expect(execFileSync(program, { encoding: "utf8" })).toBe("all tasks done\n");
  });
});
