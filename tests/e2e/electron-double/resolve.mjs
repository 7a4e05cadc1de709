// The module hook itself (it runs on a thread of its own): one specifier is redirected, all others are Node's business.
import { pathToFileURL } from "node:url";

let electron = "";

/** @param {{ electron: string }} data */
export function initialize(data) {
  electron = pathToFileURL(data.electron).href;
}

/** @type {import("node:module").ResolveHook} */
export function resolve(specifier, context, nextResolve) {
  return specifier === "electron" ? { url: electron, shortCircuit: true } : nextResolve(specifier, context);
}
