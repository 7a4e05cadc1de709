/**
 * `npm run fuzz [-- MINUTES]`: the properties among the unit tests with one random seed after another, until one does not
 * hold or the time is up. What does not hold is shown with the command that draws the same cases again.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const minutes = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);

if (minutes > 0) fuzz(Date.now() + minutes * 60_000);
else {
  console.error(`minutes must be a number above 0, not ${process.argv[2]}`);
  process.exitCode = 2;
}

/** @param {number} until milliseconds */
function fuzz(until) {
  const files = filesWithProperties();
  for (let rounds = 1; Date.now() < until; rounds++) {
    const seed = String(randomInt(2 ** 31));
    const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, "run", "--project", "unit", ...files], {
      cwd: root,
      env: { ...process.env, TIDELINE_FUZZ_SEED: seed },
      encoding: "utf8",
      maxBuffer: Number.POSITIVE_INFINITY,
    });
    // Stopped by hand.
    if (status === null) return;
    if (status !== 0) {
      console.log(`${stdout}${stderr}\nAgain: TIDELINE_FUZZ_SEED=${seed} npx vitest run --project unit`);
      process.exitCode = 1;
      return;
    }
    console.log(`${rounds}: everything holds with seed ${seed}`);
  }
}

function filesWithProperties() {
  return readdirSync(join(root, "tests", "unit"), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.test\.tsx?$/.test(file))
    .map((file) => join(root, "tests", "unit", file))
    .filter((file) => readFileSync(file, "utf8").includes("fc.assert("));
}
