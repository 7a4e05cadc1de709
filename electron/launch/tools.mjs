/** What the machine has to build with, and how to get what it lacks: asked by the launcher and by the doctor. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { isAtLeast } from "./require-node.mjs";

export const LEAST_CMAKE = "3.20.0";

/** A problem that a person can solve: shown without a stack. */
export class LaunchError extends Error {
  /**
   * @param {string} message
   * @param {string} [hint]
   */
  constructor(message, hint) {
    super(message);
    this.name = "LaunchError";
    this.hint = hint;
  }
}

/**
 * The first of these programs that is on the PATH (or a path itself), and the first line of what it says it is.
 * @param {readonly (string | undefined)[]} names
 * @param {readonly string[]} [versionArguments]
 * @returns {{ path: string, version: string } | undefined}
 */
export function findProgram(names, versionArguments = ["--version"]) {
  for (const name of names) {
    const path = name && findOnPath(name);
    if (!path) continue;
    const said = spawnSync(path, versionArguments, { encoding: "utf8", timeout: 5000 });
    if (said.status === 0) return { path, version: ((said.stdout || said.stderr).split("\n", 1)[0] ?? "").trim() };
  }
  return undefined;
}

export function findCompiler() {
  return findProgram([process.env.CXX, "c++", "g++", "clang++"]);
}

export function findCmake() {
  return findProgram(["cmake"]);
}

/** What CMake drives: it looks for these itself, and says little when there is neither. */
export function findBuildTool() {
  return findProgram(["ninja", "make"]);
}

/**
 * What is missing to build the addon, as programs' names; empty when nothing is.
 * @returns {string[]}
 */
export function missingBuildTools() {
  const cmake = findCmake();
  const cmakeVersion = cmake?.version.match(/\d+\.\d+\.\d+/)?.[0] ?? "0";
  return [
    ...(findCompiler() ? [] : ["a C++20 compiler"]),
    ...(cmake && isAtLeast(cmakeVersion, LEAST_CMAKE) ? [] : [`CMake ${LEAST_CMAKE} or newer`]),
    ...(findBuildTool() ? [] : ["make or ninja"]),
  ];
}

/**
 * The command that installs packages on this system, for the names that each family of systems gives them.
 * @param {{ debian: string, fedora: string, arch: string }} packages
 * @param {string} [osRelease]
 */
export function installCommand(packages, osRelease = readIfThere("/etc/os-release")) {
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].map((match) => match[1]).join(" ");
  if (/debian|ubuntu/.test(ids)) return `sudo apt install ${packages.debian}`;
  if (/fedora|rhel|centos/.test(ids)) return `sudo dnf install ${packages.fedora}`;
  if (/arch/.test(ids)) return `sudo pacman -S ${packages.arch}`;
  return `install ${packages.debian} (Debian), ${packages.fedora} (Fedora) or ${packages.arch} (Arch)`;
}

export const BUILD_PACKAGES = {
  debian: "build-essential cmake",
  fedora: "gcc-c++ make cmake",
  arch: "base-devel cmake",
};

export function hasDisplay() {
  return Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/**
 * Electron's program, where its binary was downloaded.
 * @param {string} root
 * @returns {string | undefined}
 */
export function findElectron(root) {
  const folder = join(root, "node_modules", "electron");
  const name = readIfThere(join(folder, "path.txt"));
  const override = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  if (override) return isProgram(join(override, name || "electron")) ? join(override, name || "electron") : undefined;
  const file = join(folder, "dist", name);
  return name !== "" && isProgram(file) ? file : undefined;
}

/** @param {string} file */
export function readIfThere(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** @param {string} name */
function findOnPath(name) {
  if (name.includes("/")) return isProgram(name) ? name : undefined;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** @param {string} file */
function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
