/** One resolver knows where files are, in a checkout and in a package. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadAddon } from "../../../electron/session/addon.ts";
import { addonPath, backupsPath, packageRoot, socketsPath, surroundings } from "../../../electron/session/paths.ts";

const root = join(import.meta.dirname, "../../..");

it("finds the checkout from sources as from bundles", () => {
  expect(packageRoot(join(root, "electron", "session"))).toBe(root);
  expect(packageRoot(join(root, "dist", "chunks"))).toBe(root);
  expect(surroundings().root).toBe(root);
  expect(surroundings()).not.toHaveProperty("resources");
});

it("takes the addon from the build, from beside the archive, or from where it is told", () => {
  expect(addonPath({ root: "/app", env: {} })).toBe("/app/native/build/Release/tideline.node");
  expect(addonPath({ root: "/r/app.asar", resources: "/r", env: {} })).toBe("/r/tideline.node");
  expect(addonPath({ root: "/app", env: { TIDELINE_ADDON: "/else/where.node" } })).toBe("/else/where.node");
});

it("keeps backups out of the temporary folder, which is often memory", () => {
  expect(backupsPath({ root, env: { XDG_CACHE_HOME: "/cache" } })).toBe("/cache/tideline/backups");
  expect(backupsPath({ root, env: { TIDELINE_CACHE_DIR: "/mine" } })).toBe("/mine/backups");
});

it("makes sockets in the user's folder for them, or in the cache where the system has none", () => {
  expect(socketsPath({ root, env: { XDG_RUNTIME_DIR: root } })).toBe(join(root, "tideline"));
  for (const missing of [undefined, "", "/nonexistent"]) {
    expect(socketsPath({ root, env: { XDG_RUNTIME_DIR: missing, XDG_CACHE_HOME: "/cache" } })).toBe(
      "/cache/tideline/sockets",
    );
  }
});

it("says what to do when the addon is missing or broken", () => {
  expect(() => loadAddon("/nonexistent/tideline.node")).toThrow(
    expect.objectContaining({ code: "unsupported", hint: expect.stringContaining("npm run build") }),
  );
  const notAnAddon = join(root, "package.json");
  expect(existsSync(notAnAddon)).toBe(true);
  expect(() => loadAddon(join(root, "LICENSE"))).toThrow(expect.objectContaining({ code: "unsupported" }));
});
