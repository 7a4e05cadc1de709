/**
 * One colour per consumer, the same wherever the consumer appears. Roles have a hue, their parts differ in lightness
 * (policy: weights, optimizer, gradients), and the three that are nobody's tensors are greys with a texture of their
 * own. Chosen, per theme, to have 3:1 contrast on the chart's surface and to differ between neighbours of the stack for
 * readers without red, green or blue cones; tests/unit/timeline/consumer-colours.test.ts measures both.
 */
import type { Consumer } from "../consumers.ts";

export type ColourScheme = "light" | "dark";
/** How a band is filled, so that colour is not the only difference. */
export type Texture = "solid" | "hatched" | "dotted";

const COLOURS: Readonly<Record<ColourScheme, Readonly<Record<Consumer, string>>>> = {
  light: {
    context: "#7d8894",
    "engine.weights": "#2e5eab",
    "reference.weights": "#499470",
    "reward.weights": "#866e23",
    "policy.weights": "#c77835",
    "policy.optimizer": "#8c461f",
    "policy.gradients": "#592a0d",
    "critic.weights": "#ae6fbf",
    "critic.optimizer": "#764192",
    "critic.gradients": "#492360",
    "engine.kv_cache": "#3b90d1",
    activations: "#ce4a54",
    logits: "#792740",
    workspace: "#21636d",
    pool: "#828d9d",
    unaccounted: "#5b6570",
  },
  dark: {
    context: "#6f7b88",
    "engine.weights": "#667ee2",
    "reference.weights": "#5abb99",
    "reward.weights": "#ccc863",
    "policy.weights": "#df944a",
    "policy.optimizer": "#b36b37",
    "policy.gradients": "#f9d9af",
    "critic.weights": "#c290d2",
    "critic.optimizer": "#9060b1",
    "critic.gradients": "#e5d8f9",
    "engine.kv_cache": "#5fbcf1",
    activations: "#dc6a6f",
    logits: "#f3becc",
    workspace: "#abac70",
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
