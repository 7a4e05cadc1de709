/**
 * Where the tests' Chromium comes from: what the machine has, else Debian's package (as root), else the build that a
 * package of the registry carries. Only when none of these can be had are end-to-end tests skipped, and said to be.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { CHROMIUM_ARGUMENTS } from "./chromium-arguments.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"] as const;
const CARRIED_PACKAGE = "@sparticuz/chromium@153.0.0";
/** Untracked, kept between runs. */
const CARRIED_FOLDER = resolve("tests/output/chromium");

export type FoundChromium =
  | { readonly found: true; readonly executablePath: string }
  | { readonly found: false; readonly reason: string };

/** Finds a Chromium that starts, installing one when there is none; every attempt that failed is in `reason`. */
export async function obtainChromium(): Promise<FoundChromium> {
  const failures: string[] = [];
  for (const [source, find] of SOURCES) {
    try {
      const executablePath = await find();
      if (executablePath === undefined) {
        failures.push(`${source}: none`);
        continue;
      }
      await (await launchChromium(executablePath)).close();
      return { found: true, executablePath };
    } catch (error) {
      failures.push(`${source}: ${firstLine(error)}`);
    }
  }
  return { found: false, reason: failures.join("; ") };
}

/** Starts the tests' browser. */
export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...CHROMIUM_ARGUMENTS] });
}

const SOURCES: readonly (readonly [string, () => string | undefined | Promise<string | undefined>])[] = [
  ["TIDELINE_CHROMIUM", () => process.env.TIDELINE_CHROMIUM],
  ["PATH", findOnPath],
  ["Playwright's own", () => existing(chromium.executablePath())],
  ["Debian's package", installFromDebian],
  [CARRIED_PACKAGE, installCarried],
];

function findOnPath(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function existing(file: string): string | undefined {
  return existsSync(file) ? file : undefined;
}

/** Only root on a Debian: anybody else is not to be asked for a password by a test run. */
function installFromDebian(): string | undefined {
  if (process.getuid?.() !== 0 || !isDebian()) return undefined;
  console.error("tests: no Chromium on this machine, installing Debian's (apt-get install chromium)");
  const runApt = (...args: readonly string[]) =>
    spawnSync("apt-get", args, {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  runApt("update", "-q");
  const { status } = runApt("install", "-y", "-q", "--no-install-recommends", "chromium");
  if (status !== 0) throw new Error(`apt-get install ended with ${status}`);
  return findOnPath();
}

function isDebian(): boolean {
  return existsSync("/etc/os-release") && /^ID=debian$/m.test(readFileSync("/etc/os-release", "utf8"));
}

async function installCarried(): Promise<string | undefined> {
  const inFolder = createRequire(join(CARRIED_FOLDER, "package.json"));
  const entry = join(CARRIED_FOLDER, "node_modules", "@sparticuz", "chromium");
  if (!existsSync(entry)) {
    console.error(`tests: no Chromium on this machine, installing ${CARRIED_PACKAGE} into tests/output`);
    execFileSync("npm", ["install", "--prefix", CARRIED_FOLDER, "--no-audit", "--no-fund", CARRIED_PACKAGE], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
  const carried: unknown = await import(inFolder.resolve("@sparticuz/chromium"));
  const { default: chromiumPackage } = carried as { default: { executablePath(): Promise<string> } };
  return chromiumPackage.executablePath();
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}
