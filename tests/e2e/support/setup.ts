/**
 * Before the end-to-end tests: finds or installs a Chromium, checks that the product is built, bundles the double of
 * Electron. Tests learn from `inject("chromium")` whether they can run.
 */
import { existsSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { addonPath, surroundings } from "../../../electron/session/paths.ts";
import { buildElectronDouble } from "../electron-double/build.ts";
import { obtainChromium } from "./browser.ts";

const BUILT = [
  "dist/main.js",
  "dist/preload.cjs",
  "dist/tideline.js",
  "dist/renderer/index.html",
  addonPath(surroundings()),
];

declare module "vitest" {
  interface ProvidedContext {
    /** Path of a Chromium that starts; undefined: end-to-end tests are skipped. */
    readonly chromium: string | undefined;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const missing = BUILT.filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`not built: ${missing.join(", ")}; run \`npm run build\` first`);
  const chromium = await obtainChromium();
  if (!chromium.found) {
    console.error(
      `\nEND-TO-END TESTS ARE SKIPPED: no Chromium can be had (${chromium.reason}).\n` +
        "Install one (Debian: apt-get install chromium) or name one in TIDELINE_CHROMIUM.\n",
    );
  }
  project.provide("chromium", chromium.found ? chromium.executablePath : undefined);
  await buildElectronDouble();
}
