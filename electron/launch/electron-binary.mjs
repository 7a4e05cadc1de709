/**
 * Electron's binary comes on the first start, not with npm. Where it cannot come (no network, blocked, no room), that
 * is remembered for a while, so that the next start does not wait for the same failure.
 */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./staleness.mjs";
import { findElectron, readIfThere } from "./tools.mjs";

const REACH_LIMIT_MS = 5_000;
const DOWNLOAD_LIMIT_MS = 10 * 60_000;
const REMEMBERED_MS = 24 * 3_600_000;
const USUAL_SOURCE = "https://github.com/electron/electron/releases/";

/**
 * The program, downloaded when needed, or why it cannot be had.
 * @param {string} root
 * @param {(text: string) => void} say
 * @returns {Promise<{ program: string } | { problem: string }>}
 */
export async function getElectron(root, say) {
  const found = findElectron(root);
  if (found) return { program: found };
  const memory = join(cacheFolder(root), "electron-problem");
  const known = readIfThere(memory);
  if (known && Date.now() - statSync(memory).mtimeMs < REMEMBERED_MS) {
    return { problem: `${known} (\`npx install-electron --no\` tries again)` };
  }
  const problem = await download(root, say);
  const program = findElectron(root);
  if (program) {
    rmSync(memory, { force: true });
    return { program };
  }
  mkdirSync(cacheFolder(root), { recursive: true });
  writeFileSync(memory, problem ?? "Electron's binary did not arrive");
  return { problem: problem ?? "Electron's binary did not arrive" };
}

/**
 * @param {string} root
 * @param {(text: string) => void} say
 * @returns {Promise<string | undefined>} why it failed
 */
async function download(root, say) {
  const source = process.env.ELECTRON_MIRROR ?? process.env.npm_config_electron_mirror ?? USUAL_SOURCE;
  const throughProxy = process.env.HTTPS_PROXY ?? process.env.https_proxy;
  if (!throughProxy && !(await isReachable(source))) return `Electron's binary cannot be downloaded from ${source}`;
  say("Downloading Electron … ");
  const failure = await runInstaller(join(root, "node_modules", "electron", "install.js"));
  say(failure === undefined ? "done\n" : "failed\n");
  return failure && `Electron's binary could not be downloaded: ${failure}`;
}

/** @param {string} source */
async function isReachable(source) {
  try {
    await fetch(source, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(REACH_LIMIT_MS) });
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} installer
 * @returns {Promise<string | undefined>}
 */
function runInstaller(installer) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [installer], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: DOWNLOAD_LIMIT_MS,
    });
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
    });
    const stop = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    process.once("SIGINT", stop).once("SIGTERM", stop);
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status, signal) => {
      process.off("SIGINT", stop).off("SIGTERM", stop);
      if (status === 0) resolve(undefined);
      else resolve(signal ? `ended by ${signal}` : log.trim().split("\n", 1)[0] || `exit code ${status}`);
    });
  });
}
