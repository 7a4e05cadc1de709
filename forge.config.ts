/**
 * How `npm run make` packages Tideline. The bundles in dist/ are complete, so the archive holds nothing else; what has
 * to be a real file (the addon, which the loader opens, and the demo checkpoint, which the engine maps) lies beside it,
 * where electron/session/paths.ts looks. Forge 8 runs on Node 22.13 or newer; everything else here needs only 20.19.
 */

import { FuseV1Options, FuseVersion } from "@electron/fuses";
import type { ForgeConfig } from "@electron-forge/shared-types";

const ARCHIVED = ["/package.json", "/LICENSE", "/dist"] as const;

/** Whether a path of the checkout (with a leading slash, "" is the root) stays out of the archive. */
export function isLeftOut(path: string): boolean {
  return path !== "" && !ARCHIVED.some((kept) => path === kept || path.startsWith(`${kept}/`));
}

const config: ForgeConfig = {
  packagerConfig: {
    name: "Tideline",
    executableName: "tideline",
    asar: true,
    // node_modules is left out whole: there is nothing to prune.
    prune: false,
    ignore: isLeftOut,
    extraResource: ["native/build/Release/tideline.node", "assets/demo", "assets/demo-ppo"],
  },
  // One binary through Node-API serves Node and Electron: nothing is rebuilt.
  rebuildConfig: { onlyModules: [] },
  makers: [{ name: "@electron-forge/maker-zip", platforms: ["linux"], config: {} }],
  plugins: [
    {
      name: "@electron-forge/plugin-fuses",
      config: {
        version: FuseVersion.V1,
        [FuseV1Options.RunAsNode]: false,
        [FuseV1Options.EnableCookieEncryption]: true,
        [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
        [FuseV1Options.EnableNodeCliInspectArguments]: false,
        [FuseV1Options.EnableEmbeddedAsarIntegrityValidation]: true,
        [FuseV1Options.OnlyLoadAppFromAsar]: true,
        [FuseV1Options.GrantFileProtocolExtraPrivileges]: false,
      },
    },
  ],
};

export default config;
