/**
 * Where things are on disk, in a checkout and in a packaged app: the only file that knows the difference. A package
 * keeps what must be real files (the addon, the demo checkpoint) beside its archive, in the resources folder.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

export interface Surroundings {
  /** The folder of this program's package.json. */
  readonly root: string;
  /** The resources folder of a packaged app; undefined in a checkout. */
  readonly resources?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The surroundings of this process. */
export function surroundings(): Surroundings {
  // Electron sets both: `defaultApp` only when it runs a folder, as a checkout does.
  const electron = process as { readonly resourcesPath?: string; readonly defaultApp?: boolean };
  const root = packageRoot(import.meta.dirname);
  const packaged = electron.resourcesPath !== undefined && electron.defaultApp !== true;
  return { root, env: process.env, ...(packaged ? { resources: electron.resourcesPath } : {}) };
}

/** The nearest folder at or above `from` with a package.json: sources and bundles lie at different depths. */
export function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json above ${from}`);
  }
}

/** The version in package.json. */
export function productVersion({ root }: Surroundings): string {
  const description: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const known = typeof description === "object" && description !== null && "version" in description;
  return known ? String(description.version) : "unknown";
}

/** The addon's file: TIDELINE_ADDON, else beside the archive, else the checkout's own build. */
export function addonPath({ root, resources, env }: Surroundings): string {
  if (env.TIDELINE_ADDON) return env.TIDELINE_ADDON;
  return resources === undefined
    ? join(root, "native", "build", "Release", "tideline.node")
    : join(resources, "tideline.node");
}

/** The demo checkpoint's folder; undefined when this copy of Tideline has none. */
export function demoCheckpointPath({ root, resources }: Surroundings): string | undefined {
  const folder = resources === undefined ? join(root, "assets", "demo") : join(resources, "demo");
  return existsSync(join(folder, "config.json")) ? folder : undefined;
}

/** The workload file of the PPO demo. */
export function demoWorkloadPath({ root, resources }: Surroundings): string {
  return join(resources ?? join(root, "assets"), "demo-ppo", "workload.json");
}

/** The built renderer. */
export function rendererPath({ root }: Surroundings): string {
  return join(root, "dist", "renderer");
}

/** Where backups to disk go: a cache folder of the user, not the temporary folder, which is often memory itself. */
export function backupsPath(places: Surroundings): string {
  return join(cachePath(places), "backups");
}

/** Where what is remembered between starts goes. */
export function configPath({ env }: Surroundings): string {
  return env.TIDELINE_CONFIG_DIR ?? join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "tideline");
}

/** Where sockets go unless a person says otherwise: the user's folder for them, where the system has one. */
export function socketsPath(places: Surroundings): string {
  const runtime = places.env.XDG_RUNTIME_DIR;
  return runtime && existsSync(runtime) ? join(runtime, "tideline") : join(cachePath(places), "sockets");
}

function cachePath({ env }: Surroundings): string {
  return env.TIDELINE_CACHE_DIR ?? join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tideline");
}
