/**
 * `npm test`: everything that has to hold, on a fresh clone with nothing installed by hand. Builds what is stale, then
 * type check, lint, and the four kinds of tests, one after the other so that what measures memory is not disturbed.
 * The last line is the count; the type check and the lint count as one test each.
 * With TIDELINE_DEVICE=cuda:0 the native and golden ones run on that GPU, or say that they are skipped.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { orExplain, prepare } from "../electron/launch/prepare.mjs";

const root = resolve(import.meta.dirname, "..");
const output = join(root, "tests", "output");
const PROJECTS = ["unit", "native", "golden", "e2e"];

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** What failed, said once more at the end: by then its own place has scrolled away. @type {string[]} */
const failures = [];
/** How many tests were skipped for what this machine lacks. @type {Map<string, number>} */
const skips = new Map();

process.chdir(root);
process.exitCode = 0;
await orExplain(() => prepare(root));
const total = process.exitCode === 0 ? runEverything() : { passed: 0, failed: 1, skipped: 0 };
if (failures.length > 0) console.log(`\nWhat failed:\n${failures.join("\n")}`);
if (total.skipped > 0) console.log("\nSkipped tests are not passed tests. What this machine lacks:");
for (const [reason, count] of skips) console.log(`- ${count} skipped: ${reason}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;

/** @returns {Count} */
function runEverything() {
  mkdirSync(output, { recursive: true });
  const counts = [
    check("type check", "typescript/bin/tsc", ["--noEmit"]),
    check("lint", "@biomejs/biome/bin/biome", ["check", "."]),
    ...PROJECTS.map(runProject),
  ];
  return counts.reduce((sum, count) => ({
    passed: sum.passed + count.passed,
    failed: sum.failed + count.failed,
    skipped: sum.skipped + count.skipped,
  }));
}

/**
 * One tool that either likes the sources or does not.
 * @param {string} name
 * @param {string} script below node_modules
 * @param {readonly string[]} args
 * @returns {Count}
 */
function check(name, script, args) {
  console.log(`\n== ${name}`);
  const { status } = runNode(script, args);
  if (status === 0) console.log("passed");
  else failures.push(`- ${name}`);
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
}

/**
 * One project of vitest.config.ts. A run that ends badly without a failed test (a file that does not load, a setup
 * that throws) counts as a failure: it must never look like success.
 * @param {string} project
 * @returns {Count}
 */
function runProject(project) {
  console.log(`\n== ${project} tests`);
  const file = join(output, `vitest-${project}.json`);
  rmSync(file, { force: true });
  const reporters = ["--reporter=default", "--reporter=./tests/reporter.ts", `--outputFile=${file}`];
  const { status } = runNode("vitest/vitest.mjs", ["run", "--project", project, ...reporters]);
  const count = readReport(file);
  if ((status === 0 && existsSync(file)) || count.failed > 0) return count;
  failures.push(`- ${project} tests ended badly without a failed test`);
  return { ...count, failed: 1 };
}

/**
 * @param {string} file
 * @returns {Count} nothing, where no report was written
 */
function readReport(file) {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  /** @type {import("./reporter.ts").ProjectReport} */
  const report = JSON.parse(readFileSync(file, "utf8"));
  for (const { where, said } of report.failures) failures.push(`- ${where}\n${indent(said)}`);
  for (const reason of report.lacking) skips.set(reason, (skips.get(reason) ?? 0) + 1);
  return report;
}

/** @param {string} text */
function indent(text) {
  return text.replace(/^/gm, "    ");
}

/**
 * @param {string} script below node_modules
 * @param {readonly string[]} args
 */
function runNode(script, args) {
  return spawnSync(process.execPath, [join(root, "node_modules", script), ...args], { cwd: root, stdio: "inherit" });
}
