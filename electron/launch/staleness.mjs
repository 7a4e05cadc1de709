/**
 * Whether something has to be built again: by the contents of what it is made from, not by file times, which a
 * checkout or a copy changes. What was built last is remembered in node_modules/.cache/tideline.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {readonly string[]} inputs files and folders, from the root; what does not exist counts as such
 * @property {readonly string[]} outputs files that must exist afterwards
 * @property {RegExp} [ignored] paths below the inputs that do not count
 */

/**
 * One hash over names and contents of all files of the inputs.
 * @param {string} root
 * @param {readonly string[]} inputs
 * @param {RegExp} [ignored]
 */
export function hashInputs(root, inputs, ignored) {
  const hash = createHash("sha256");
  for (const input of inputs) addToHash(hash, root, input, ignored);
  return hash.digest("hex");
}

/**
 * @param {string} root
 * @param {Step} step
 */
export function isStale(root, { name, inputs, outputs, ignored }) {
  if (outputs.some((file) => !existsSync(join(root, file)))) return true;
  const stamp = stampFile(root, name);
  return !existsSync(stamp) || readFileSync(stamp, "utf8") !== hashInputs(root, inputs, ignored);
}

/**
 * Remembers that the step was done for inputs of this hash (taken before it ran, so that an edit meanwhile counts).
 * @param {string} root
 * @param {Step} step
 * @param {string} hash
 */
export function markFresh(root, { name }, hash) {
  const stamp = stampFile(root, name);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

/** @param {string} root */
export function cacheFolder(root) {
  return join(root, "node_modules", ".cache", "tideline");
}

/**
 * Whether node_modules holds what package-lock.json asks for, by npm's own list of what it installed.
 * @param {string} root
 */
export function isInstalled(root) {
  const installedFile = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedFile)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
  return Object.entries(wanted).every(
    // Optional ones may be for other systems.
    ([path, { version, optional }]) => path === "" || optional || installed[path]?.version === version,
  );
}

/**
 * @param {import("node:crypto").Hash} hash
 * @param {string} root
 * @param {string} path
 * @param {RegExp} [ignored]
 */
function addToHash(hash, root, path, ignored) {
  if (ignored?.test(path)) return;
  const info = statSync(join(root, path), { throwIfNoEntry: false });
  if (info?.isDirectory()) {
    for (const name of readdirSync(join(root, path)).sort()) addToHash(hash, root, `${path}/${name}`, ignored);
  } else if (info?.isFile()) {
    const contents = readFileSync(join(root, path));
    hash.update(`${path}\0${contents.length}\0`).update(contents);
  }
}

/**
 * @param {string} root
 * @param {string} name
 */
function stampFile(root, name) {
  return join(cacheFolder(root), `${name}.stamp`);
}
