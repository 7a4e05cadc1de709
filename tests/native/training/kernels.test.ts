/** The training arithmetic itself, on every instruction set of this CPU: kernels.cc, linked with the addon's own code. */
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { ADDON_FILE, addon, withFolder } from "../support.ts";

const NATIVE = resolve(import.meta.dirname, "../../../native");

test("every instruction set computes what double precision computes, whatever the sizes and strides", async () => {
  await withFolder(async (folder) => {
    const program = join(folder, "kernels");
    // A sanitized library needs the sanitizers' runtime.
    const sanitize = process.env.TIDELINE_ADDON?.includes("sanitize") ? ["-fsanitize=address,undefined"] : [];
    const library = join(ADDON_FILE, "../../libtideline_core.a");
    const source = join(import.meta.dirname, "kernels.cc");
    const flags = ["-std=c++20", "-O1", `-I${NATIVE}`, ...sanitize];
    execFileSync(process.env.CXX ?? "c++", [...flags, source, library, "-lpthread", "-ldl", "-o", program]);
    const output = execFileSync(program, { encoding: "utf8", env: { PATH: process.env.PATH ?? "" } });
    expect(output).toContain("baseline checked");
    expect(output).toContain(`${addon.cpu.isa} checked`);
  });
});
