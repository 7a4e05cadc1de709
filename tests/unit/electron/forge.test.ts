/** The package as data: hardened fuses, nothing but the bundles in the archive, the addon beside it. */

import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { addonPath, demoCheckpointPath } from "../../../electron/session/paths.ts";
import config, { isLeftOut } from "../../../forge.config.ts";

/** Numbers of the fuse wire, from Electron's documentation: the format is fixed for good. */
const FUSES = {
  RunAsNode: 0,
  EnableCookieEncryption: 1,
  EnableNodeOptionsEnvironmentVariable: 2,
  EnableNodeCliInspectArguments: 3,
  EnableEmbeddedAsarIntegrityValidation: 4,
  OnlyLoadAppFromAsar: 5,
  GrantFileProtocolExtraPrivileges: 7,
};

describe("the forge configuration", () => {
  it("burns the fuses", () => {
    const plugin = config.plugins?.find((candidate) => candidate.name === "@electron-forge/plugin-fuses");
    expect(plugin).toMatchObject({
      config: {
        version: "1",
        [FUSES.RunAsNode]: false,
        [FUSES.EnableCookieEncryption]: true,
        [FUSES.EnableNodeOptionsEnvironmentVariable]: false,
        [FUSES.EnableNodeCliInspectArguments]: false,
        [FUSES.EnableEmbeddedAsarIntegrityValidation]: true,
        [FUSES.OnlyLoadAppFromAsar]: true,
        [FUSES.GrantFileProtocolExtraPrivileges]: false,
      },
    });
  });

  it("puts the addon and the demo where a packaged program looks for them", () => {
    const extra = [config.packagerConfig?.extraResource ?? []].flat().map((path) => basename(path));
    const packaged = { root: "/opt/tideline/resources/app.asar", resources: "/opt/tideline/resources", env: {} };
    expect(extra).toContain(basename(addonPath(packaged)));
    expect(extra).toContain("demo");
    // No folder of that name exists here; in a checkout there is one.
    expect(demoCheckpointPath(packaged)).toBeUndefined();
    expect(config.packagerConfig?.asar).toBe(true);
  });

  it.each(["", "/package.json", "/dist", "/dist/main.js", "/dist/renderer/index.html"])("archives %j", (path) => {
    expect(isLeftOut(path)).toBe(false);
  });

  it.each([
    "/node_modules",
    "/native/build/Release/tideline.node",
    "/tests",
    "/.git",
    "/distribution",
    "/electron/main.ts",
  ])("leaves out %s", (path) => {
    expect(isLeftOut(path)).toBe(true);
  });
});
