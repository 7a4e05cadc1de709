/**
 * Makes a clone ready to run: installs dependencies, builds the addon, the screen and the bundles, each only when what
 * it is made from has changed. Quiet when all is well, one line per step that runs, the whole log when one fails.
 */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { withLock } from "./lock.mjs";
import { cacheFolder, hashInputs, isInstalled, isStale, markFresh } from "./staleness.mjs";
import { BUILD_PACKAGES, installCommand, LaunchError, missingBuildTools } from "./tools.mjs";

/** @typedef {import("./staleness.mjs").Step & { label: string, commands: readonly (readonly string[])[], check?: () => void }} BuildStep */

const node = process.execPath;
const VITE = "node_modules/vite/bin/vite.js";
const vite = (/** @type {string[]} */ ...args) => [node, VITE, "build", "--logLevel", "warn", ...args];

/** @type {readonly BuildStep[]} */
export const BUILD_STEPS = [
  {
    name: "addon",
    label: "Building the native addon",
    inputs: ["native", "package-lock.json"],
    ignored: /^native\/build|\.d\.ts$/,
    outputs: ["native/build/Release/tideline.node"],
    commands: [[node, "node_modules/cmake-js/bin/cmake-js", "compile", "-d", "native", "--log-level", "warn"]],
    check: refuseWithoutBuildTools,
  },
  {
    name: "renderer",
    label: "Building the screen",
    inputs: ["renderer", "core", "vite.config.ts", "package-lock.json"],
    outputs: ["dist/renderer/index.html"],
    commands: [vite()],
  },
  {
    name: "bundles",
    label: "Bundling the main process",
    inputs: ["electron", "core", "package.json", "package-lock.json"],
    outputs: ["dist/tideline.js", "dist/main.js", "dist/preload.cjs"],
    commands: [
      vite("--config", "electron/vite.config.ts"),
      vite("--config", "electron/vite.config.ts", "--mode", "preload"),
    ],
  },
];

/**
 * Does what is needed.
 * @param {string} root
 * @param {(text: string) => void} [say] progress; standard error by default, so that standard output stays the command's own
 * @throws {LaunchError}
 */
export async function prepare(root, say = (text) => process.stderr.write(text)) {
  if (!isInstalled(root)) {
    await runStep(root, "Installing dependencies", [["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]], say);
  }
  if (!BUILD_STEPS.some((step) => isStale(root, step))) return;
  mkdirSync(cacheFolder(root), { recursive: true });
  const onWait = () => say("Waiting for another build …\n");
  await withLock(join(cacheFolder(root), "lock"), onWait, async () => {
    for (const step of BUILD_STEPS) {
      // Asked again: another start may have built it while this one waited.
      if (!isStale(root, step)) continue;
      step.check?.();
      const hash = hashInputs(root, step.inputs, step.ignored);
      await runStep(root, step.label, step.commands, say);
      markFresh(root, step, hash);
    }
  });
}

/** Runs `main` and turns what it throws into a message, a hint and exit code 1. */
export async function orExplain(/** @type {() => Promise<void>} */ main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    process.stderr.write(`error: ${error.message}\n${error.hint ? `hint: ${error.hint}\n` : ""}`);
    process.exitCode = 1;
  }
}

function refuseWithoutBuildTools() {
  const missing = missingBuildTools();
  if (missing.length === 0) return;
  throw new LaunchError(
    `the native addon cannot be built: ${missing.join(" and ")} not found`,
    `${installCommand(BUILD_PACKAGES)}, then start again`,
  );
}

/**
 * @param {string} root
 * @param {string} label
 * @param {readonly (readonly string[])[]} commands
 * @param {(text: string) => void} say
 */
async function runStep(root, label, commands, say) {
  const startedMs = Date.now();
  say(`${label} … `);
  for (const command of commands) {
    const { status, log } = await run(root, command);
    if (status === 0) continue;
    say("failed\n");
    throw new LaunchError(`${command.join(" ")} failed:\n${log.trimEnd()}`);
  }
  say(`${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
}

/**
 * @param {string} root
 * @param {readonly string[]} command
 * @returns {Promise<{ status: number | null, log: string }>}
 */
function run(root, [program = "", ...args]) {
  return new Promise((resolve) => {
    const env = { CMAKE_BUILD_PARALLEL_LEVEL: String(cpus().length), ...process.env };
    const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        log += text;
      });
    }
    const stop = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    process.once("SIGINT", stop).once("SIGTERM", stop);
    const end = (/** @type {number | null} */ status, /** @type {string} */ problem) => {
      process.off("SIGINT", stop).off("SIGTERM", stop);
      resolve({ status, log: log + problem });
    };
    child.on("error", (error) => end(1, error.message));
    child.on("close", (status, signal) => end(status, signal ? `ended by ${signal}` : ""));
  });
}
