/** The footprint of whoever carries a plan out. */
import type { ResolvedPlan } from "../resolve.ts";
import { embeddedFootprint } from "./embedded/footprint.ts";
import type { Footprint } from "./footprint.ts";
import { launcherFootprint } from "./launcher/footprint.ts";

/** @throws TidelineError `plan_invalid` with the field of what the embedded engine cannot do. */
export function footprintOf(resolved: ResolvedPlan): Footprint {
  return resolved.backend === "embedded" ? embeddedFootprint(resolved) : launcherFootprint(resolved);
}
