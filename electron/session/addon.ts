/**
 * Loads the native addon, once and in one place, so that a missing or broken build is one clear error instead of a
 * crash at start.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { TidelineError } from "../../core/errors.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import { addonPath, surroundings } from "./paths.ts";

/**
 * The addon of this checkout or package.
 * @throws TidelineError `unsupported` when it was never built, or was built for another platform.
 */
export function loadAddon(file = addonPath(surroundings())): TidelineAddon {
  if (!existsSync(file)) {
    throw new TidelineError({
      code: "unsupported",
      message: `the native addon is not built: there is no ${file}`,
      hint: "Run `npm run build` in Tideline's folder; `npm run doctor` says what is missing to build it.",
      file,
    });
  }
  try {
    return createRequire(import.meta.url)(file) as TidelineAddon;
  } catch (error) {
    throw new TidelineError(
      {
        code: "unsupported",
        message: `the native addon cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
        hint: "It was built for another system or is damaged: delete native/build and run `npm run build`.",
        file,
      },
      { cause: error },
    );
  }
}
