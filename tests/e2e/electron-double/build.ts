/** Bundles the double into one file that plain Node can run. */
import { builtinModules } from "node:module";
import { join, resolve } from "node:path";
import { build } from "vite";

export const DOUBLE_BUNDLE = resolve("tests/output/electron-double/electron.js");

export async function buildElectronDouble(): Promise<void> {
  await build({
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    build: {
      ssr: join(import.meta.dirname, "electron.ts"),
      target: "node20",
      outDir: join(DOUBLE_BUNDLE, ".."),
      minify: false,
      rollupOptions: { external: ["playwright-core", ...builtinModules, /^node:/] },
    },
  });
}
