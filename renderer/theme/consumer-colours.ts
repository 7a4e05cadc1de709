/**
 * One colour per consumer, the same wherever the consumer appears. Roles have a hue, their parts differ in lightness
 * (policy: weights, optimizer, gradients), and the three that are nobody's tensors are greys with a texture of their
 * own. Chosen, per theme, to have 3:1 contrast on the chart's surface and to differ between neighbours of the stack for
 * readers without red, green or blue cones; tests/unit/timeline/consumer-colours.test.ts measures both.
 */
import type { Consumer } from "../../core/consumers.ts";

export type ColourScheme = "light" | "dark";
/** How a band is filled, so that colour is not the only difference. */
export type Texture = "solid" | "hatched" | "dotted";

const COLOURS: Readonly<Record<ColourScheme, Readonly<Record<Consumer, string>>>> = {
  light: {
    context: "#7d8894",
    "engine.weights": "#225cb7",
    "reference.weights": "#39976d",
    "reward.weights": "#8a6d00",
    "policy.weights": "#cf7316",
    "policy.optimizer": "#93400a",
    "policy.gradients": "#5e2600",
    "critic.weights": "#b369c7",
    "critic.optimizer": "#7a3a9a",
    "critic.gradients": "#4c1d66",
    "engine.kv_cache": "#2190dc",
    activations: "#d93a4c",
    logits: "#7f1d3f",
    workspace: "#086470",
    pool: "#828d9d",
    unaccounted: "#5b6570",
  },
  dark: {
    context: "#6f7b88",
    "engine.weights": "#6079f5",
    "reference.weights": "#3bbf96",
    "reward.weights": "#cfc843",
    "policy.weights": "#ea8e24",
    "policy.optimizer": "#bd651a",
    "policy.gradients": "#ffd7a4",
    "critic.weights": "#c88adb",
    "critic.optimizer": "#9558bd",
    "critic.gradients": "#e7d6ff",
    "engine.kv_cache": "#40bdff",
    activations: "#ea5d66",
    logits: "#fabacc",
    workspace: "#acad62",
    pool: "#808b97",
    unaccounted: "#aab4bf",
  },
};

/** For consumers that the vocabulary does not know, e.g. of another version's recording. */
const UNKNOWN: Readonly<Record<ColourScheme, string>> = { light: "#6b6b2f", dark: "#c9c9a0" };

export function consumerColour(consumer: string, scheme: ColourScheme): string {
  return isConsumer(consumer) ? COLOURS[scheme][consumer] : UNKNOWN[scheme];
}

export function consumerTexture(consumer: string): Texture {
  if (consumer === "unaccounted") return "hatched";
  return consumer === "pool" ? "dotted" : "solid";
}

function isConsumer(name: string): name is Consumer {
  return Object.hasOwn(COLOURS.light, name);
}
