/** The C++ programs of benches, most of which only run on a card: they have to follow the engine's headers all the same. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "vitest";

const BENCHES = resolve("tests/bench");
const programs = readdirSync(BENCHES).filter((name) => name.endsWith(".cc"));

test.each(programs)("%s compiles", (program) => {
  const flags = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", `-I${resolve("native")}`];
  execFileSync(process.env.CXX ?? "c++", [...flags, join(BENCHES, program)], { stdio: ["ignore", "ignore", "pipe"] });
});
