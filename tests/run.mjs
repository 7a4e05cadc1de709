/**
 * `npm test`: everything that has to hold, on a fresh clone with nothing installed by hand. Builds what is stale, then
 * type check, lint, and the four kinds of tests, one after the other so that what measures memory is not disturbed.
 * The last line is the count; the type check and the lint count as one test each.
 * With TIDELINE_DEVICE=cuda:0 the native and golden ones run on that GPU, or say that they are skipped.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
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
  const report = join(output, `vitest-${project}.json`);
  rmSync(report, { force: true });
  const { status } = runNode("vitest/vitest.mjs", [
    "run",
    "--project",
    project,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ]);
  const count = readReport(report);
  if (status === 0 || count.failed > 0) return count;
  failures.push(`- ${project} tests ended badly without a failed test`);
  return { ...count, failed: 1 };
}

/**
 * @param {string} file
 * @returns {Count}
 */
function readReport(file) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    for (const { name, message, assertionResults } of report.testResults) {
      const failed = assertionResults.filter((/** @type {{ status: string }} */ test) => test.status === "failed");
      for (const test of failed) {
        failures.push(`- ${relative(root, name)}: ${test.fullName}\n${indent(test.failureMessages.join("\n"))}`);
      }
      for (const { status, fullName, meta } of assertionResults) {
        if (status !== "skipped" && status !== "pending") continue;
        const reason = meta?.lacks ?? /\(skipped: ([^)]*)\)/.exec(fullName)?.[1] ?? relative(root, name);
        skips.set(reason, (skips.get(reason) ?? 0) + 1);
      }
      if (failed.length === 0 && message) failures.push(`- ${relative(root, name)}\n${indent(message)}`);
    }
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
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
