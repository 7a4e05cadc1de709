/**
 * `npm run doctor`: what Tideline finds on this machine, what each missing thing costs, and how to get it. Plain
 * JavaScript without dependencies, because it must run where nothing could be built yet.
 */
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { isAtLeast, LEAST_NODE } from "./require-node.mjs";
import {
  BUILD_PACKAGES,
  findBuildTool,
  findCmake,
  findCompiler,
  findElectron,
  findProgram,
  hasDisplay,
  installCommand,
  LEAST_CMAKE,
} from "./tools.mjs";

/**
 * @typedef {object} Finding
 * @property {string} name
 * @property {boolean} required
 * @property {string} [found] what was found; absent when it is missing
 * @property {string} [costs] what does not work without it
 * @property {string} [get] how to get it
 */

/**
 * Prints the findings.
 * @param {{ root: string, json: boolean, write?: (text: string) => unknown }} options
 * @returns {number} 0, or 1 when something required is missing
 */
export function runDoctor({ root, json, write = (text) => process.stdout.write(text) }) {
  const findings = examine(root);
  write(json ? `${JSON.stringify({ findings })}\n` : describe(findings));
  return findings.some(({ required, found }) => required && found === undefined) ? 1 : 0;
}

/**
 * @param {string} root
 * @returns {Finding[]}
 */
export function examine(root) {
  const addonFile = process.env.TIDELINE_ADDON ?? join(root, "native", "build", "Release", "tideline.node");
  const addon = loadIfBuilt(addonFile);
  return [...buildFindings(addonFile, addon), ...cudaFindings(addon), ...screenFindings(root)];
}

/**
 * @param {string} addonFile
 * @param {LoadedAddon} addon
 * @returns {Finding[]}
 */
function buildFindings(addonFile, addon) {
  const tools = { required: true, costs: "the native addon cannot be built", get: installCommand(BUILD_PACKAGES) };
  const cmake = findCmake();
  const cmakeVersion = cmake?.version.match(/\d+\.\d+\.\d+/)?.[0];
  return [
    {
      name: "Node",
      required: true,
      ...(isAtLeast(process.versions.node, LEAST_NODE) ? { found: process.versions.node } : {}),
      costs: "nothing runs",
      get: `Node ${LEAST_NODE} or newer: https://nodejs.org`,
    },
    { name: "C++ compiler", ...tools, ...foundProgram(findCompiler()) },
    {
      name: "CMake",
      ...tools,
      ...(cmakeVersion && isAtLeast(cmakeVersion, LEAST_CMAKE) ? foundProgram(cmake) : {}),
    },
    { name: "make or ninja", ...tools, ...foundProgram(findBuildTool()) },
    {
      name: "Native addon",
      required: false,
      ...(addon.loaded ? { found: addonFile } : {}),
      costs: addon.problem ?? "it is built on the first start",
      get: "npm run build",
    },
  ];
}

/**
 * @param {LoadedAddon} addon
 * @returns {Finding[]}
 */
function cudaFindings({ loaded }) {
  const gpus = loaded?.probeDevices().filter(({ name }) => name !== "host") ?? [];
  const usable = gpus.filter(({ problem }) => problem === undefined);
  const driver = findLibrary("libcuda.so.1");
  const get = "NVIDIA's driver for this GPU, from your distribution";
  return [
    {
      name: "CUDA driver",
      required: false,
      ...(driver ? { found: [driver, usable[0]?.driverVersion].filter(Boolean).join(", ") } : {}),
      costs: "only the host device can be used",
      get,
    },
    {
      name: "GPUs",
      required: false,
      ...(usable.length > 0
        ? { found: usable.map(({ name, description }) => `${name}: ${description}`).join(", ") }
        : {}),
      costs: loaded
        ? `only the host device can be used${gpus[0]?.problem ? ` (${gpus[0].problem})` : ""}`
        : "not known before the addon is built",
      get: loaded ? get : "npm run build",
    },
    {
      name: "NVML",
      required: false,
      ...foundText(findLibrary("libnvidia-ml.so.1")),
      costs: "what other processes hold on a GPU is not shown",
      get: "comes with NVIDIA's driver",
    },
    {
      name: "nvcc",
      required: false,
      ...foundProgram(findProgram(["nvcc", "/usr/local/cuda/bin/nvcc"])),
      costs: "the native addon is built without CUDA kernels",
      get: "NVIDIA's CUDA toolkit, 12 or newer; it is needed to build, not to run",
    },
    {
      name: "CUDA kernels",
      required: false,
      ...(loaded?.cudaKernels ? { found: "in the native addon" } : {}),
      costs: loaded
        ? "GPUs hold models and regions, and the host computes"
        : "not known before the native addon is built",
      get: "npm run build where nvcc is found",
    },
    cublasFinding(loaded),
  ];
}

/**
 * @param {LoadedAddon["loaded"]} addon
 * @returns {Finding}
 */
function cublasFinding(addon) {
  // An addon that an earlier version left here has no such call.
  const { path, version, problem } = addon?.findCublas?.() ?? {};
  return {
    name: "cuBLAS",
    required: false,
    ...(path && version ? { found: `${version} (${path})` } : {}),
    costs: addon
      ? `GPUs multiply matrices with plain kernels, many times slower${problem ? ` (${problem})` : ""}`
      : "not known before the native addon is built",
    get: addon
      ? "NVIDIA's CUDA toolkit, or pip install nvidia-cublas-cu12; TIDELINE_CUBLAS names one that is elsewhere"
      : "npm run build",
  };
}

/**
 * @param {string} root
 * @returns {Finding[]}
 */
function screenFindings(root) {
  const chromium = findProgram([
    process.env.TIDELINE_CHROMIUM,
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
  ]);
  const display = process.env.WAYLAND_DISPLAY || process.env.DISPLAY;
  return [
    {
      name: "Electron",
      required: false,
      ...foundText(findElectron(root)),
      costs: "the app opens in a browser instead of a window of its own",
      get: "npx install-electron --no (about 100 MB)",
    },
    {
      name: "Chromium",
      required: false,
      ...foundProgram(chromium),
      costs: "the end-to-end tests get one themselves, or are skipped",
      get: installCommand({ debian: "chromium", fedora: "chromium", arch: "chromium" }),
    },
    {
      name: "Display",
      required: false,
      ...(hasDisplay() ? foundText(display) : {}),
      costs: "`npm start` prints an address to open from a machine with one",
      get: "ssh -L 7421:127.0.0.1:7421 this-machine",
    },
  ];
}

/** @param {readonly Finding[]} findings */
function describe(findings) {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, required, found, costs, get }) => {
    const label = name.padEnd(width);
    if (found !== undefined) return [`ok       ${label}  ${found}`];
    const indent = " ".repeat("missing  ".length + width + 2);
    return [
      `${required ? "MISSING" : "missing"}  ${label}  ${costs ?? ""}`,
      ...(get === undefined ? [] : [`${indent}get it: ${get}`]),
    ];
  });
  return `${lines.join("\n")}\n`;
}

/** @param {{ path: string, version: string } | undefined} program */
function foundProgram(program) {
  return program ? { found: `${program.version} (${program.path})` } : {};
}

/** @param {string | undefined} text */
function foundText(text) {
  return text ? { found: text } : {};
}

/** @typedef {{ loaded?: import("../../native/addon.d.ts").TidelineAddon, problem?: string }} LoadedAddon */

/**
 * @param {string} file
 * @returns {LoadedAddon}
 */
function loadIfBuilt(file) {
  if (!existsSync(file)) return {};
  try {
    return { loaded: createRequire(import.meta.url)(file) };
  } catch (error) {
    return { problem: `it does not load: ${error instanceof Error ? error.message : error}` };
  }
}

/**
 * A shared library in the loader's usual folders.
 * @param {string} name
 */
function findLibrary(name) {
  const folders = [
    ...(process.env.LD_LIBRARY_PATH ?? "").split(":").filter(Boolean),
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
  ];
  const folder = folders.find((candidate) => existsSync(candidate) && readdirSync(candidate).includes(name));
  return folder && join(folder, name);
}
