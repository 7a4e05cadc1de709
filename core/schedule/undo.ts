/** What takes an action back. Not everything can be: what was discarded is gone, and a swap has overwritten something. */
import { assertNever } from "../errors.ts";
import type { MemoryState } from "./residency.ts";
import type { Action } from "./schedule.ts";
import { isScratch } from "./works.ts";

/** The action that leads back to `before`, where `action` was done; undefined when none does. */
export function inverseOf(before: MemoryState, action: Action): Action | undefined {
  if (action.kind === "swap") return undefined;
  const { consumer } = action;
  const { residency, contents } = before[consumer];
  switch (action.kind) {
    case "release": {
      const heldNothing = isScratch(consumer) || contents === "undefined";
      return residency === "resident" && heldNothing ? { kind: "resume", consumer } : undefined;
    }
    case "resume":
      return residency === "released" ? { kind: "release", consumer, destination: "return" } : undefined;
    case "offload":
      return residency === "resident" ? { kind: "load", consumer } : undefined;
    case "load":
      return residency === "host" || residency === "disk" ? { kind: "offload", consumer, to: residency } : undefined;
    default:
      return assertNever(action);
  }
}
