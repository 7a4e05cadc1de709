/** The engine's state in words. */
import type { EngineState } from "../../../core/contract/state.ts";
import type { Tone } from "../../components/chip.tsx";

export function engineStatus(engine: EngineState): { readonly text: string; readonly tone: Tone } {
  switch (engine.status) {
    case "empty":
      return { text: "no checkpoint", tone: "neutral" };
    case "idle":
      return engine.obstacle === undefined ? { text: "idle", tone: "ok" } : { text: "cannot generate", tone: "danger" };
    case "running":
      return {
        text: engine.runningRequests > 1 ? `running ${engine.runningRequests} requests` : "running",
        tone: "accent",
      };
    case "paused":
      return {
        text:
          engine.runningRequests + engine.waitingRequests > 0
            ? `paused, ${engine.runningRequests + engine.waitingRequests} waiting`
            : "paused",
        tone: "warning",
      };
    case "swapping":
      return { text: "swapping weights", tone: "accent" };
  }
}
