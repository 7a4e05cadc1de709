/**
 * Why the engine cannot generate now, and what would change that: the screen shows it where the prompt is, instead of
 * letting a person run into the error.
 */
import { engineConsumer } from "../../core/consumers.ts";
import type { ConsumerState, Obstacle } from "../../core/contract/state.ts";
import type { BackendEngine } from "./backend.ts";

/** The first obstacle, the one to remove first; undefined when the engine can generate. */
export function obstacleOf(
  engine: Pick<BackendEngine, "status">,
  consumers: readonly ConsumerState[],
): Obstacle | undefined {
  if (engine.status === "swapping") {
    return { code: "busy", message: "The weights are being swapped", hint: "Wait for the swap, or cancel it." };
  }
  const stateOf = (name: string) => consumers.find(({ consumer }) => consumer === name);
  const weights = stateOf(engineConsumer("weights"));
  const holder = weights?.residency === "shared" ? stateOf(weights.sharedWith ?? "") : weights;
  if (holder && !isResident(holder)) {
    return {
      code: "not_resident",
      message: `${holder.consumer} is ${holder.residency === "released" ? "released" : `on ${holder.residency}`}`,
      hint: `Resume ${holder.consumer}.`,
    };
  }
  if (holder?.contents === "undefined") {
    return {
      code: "contents_undefined",
      message: `The contents of ${holder.consumer} were discarded`,
      hint: "Write them again: swap in a checkpoint, or open one.",
    };
  }
  for (const tag of ["kv_cache", "workspace"] as const) {
    const state = stateOf(engineConsumer(tag));
    if (state && !isResident(state)) {
      return { code: "not_resident", message: `${state.consumer} is released`, hint: `Resume ${state.consumer}.` };
    }
  }
  if (engine.status === "paused") {
    return {
      code: "busy",
      message: "The engine is paused",
      hint: "Continue it to generate.",
    };
  }
  return undefined;
}

function isResident({ residency }: ConsumerState): boolean {
  return residency === "resident" || residency === "shared";
}
