/**
 * `app://tideline/`: serves the renderer's build to the window, and nothing else on the disk. A scheme of its own
 * instead of `file://` gives the page a real origin, so that a Content-Security-Policy and the sender check mean something.
 */
import { readFile, realpath } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import type { CustomScheme } from "electron";
import { CONTENT_SECURITY_POLICY } from "../hosts/content-security-policy.ts";
import { APP_SCHEME, isAppUrl } from "./app-url.ts";

export const APP_SCHEME_PRIVILEGES: CustomScheme = {
  scheme: APP_SCHEME,
  privileges: { standard: true, secure: true, supportFetchAPI: true },
};

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
};

/**
 * The file a request asks for, or undefined for anything outside the build: other hosts, encoded or plain `..`,
 * NUL bytes, backslashes.
 */
export function fileOfRequest(requestUrl: string, rendererDirectory: string): string | undefined {
  if (!isAppUrl(requestUrl)) return undefined;
  const path = decodePath(new URL(requestUrl).pathname);
  if (path === undefined || /[\0\\]/.test(path) || path.split("/").includes("..")) return undefined;
  return join(rendererDirectory, path === "/" ? "index.html" : path);
}

/** Answers one `app://` request with a file of the build; 404 for all else. Never rejects. */
export function createAppProtocolHandler(rendererDirectory: string): (request: Request) => Promise<Response> {
  return async (request) => {
    const file = fileOfRequest(request.url, rendererDirectory);
    const body = file === undefined ? undefined : await readInside(file, rendererDirectory);
    if (file === undefined || body === undefined || request.method !== "GET") {
      return new Response("not found", { status: 404, headers: { "content-type": "text/plain" } });
    }
    return new Response(body, {
      headers: {
        "content-type": CONTENT_TYPES[extname(file)] ?? "application/octet-stream",
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
      },
    });
  };
}

/** A symbolic link in the build must not lead out of it either. */
async function readInside(file: string, directory: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const [realFile, realDirectory] = await Promise.all([realpath(file), realpath(directory)]);
    return realFile.startsWith(realDirectory + sep) ? new Uint8Array(await readFile(realFile)) : undefined;
  } catch {
    return undefined;
  }
}

function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
