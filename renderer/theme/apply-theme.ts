/** Puts the chosen theme on the document, resolving "system", and keeps it there when either changes. */
import { useSyncExternalStore } from "react";
import type { ColourScheme } from "../../core/timeline/consumer-colours.ts";
import { usePreferences } from "../state/preferences.ts";

const systemIsDark = () => window.matchMedia("(prefers-color-scheme: dark)");

/** Call once, before the first render. */
export function applyTheme(): void {
  const apply = () => {
    document.documentElement.dataset.theme = currentScheme();
  };
  apply();
  usePreferences.subscribe(apply);
  systemIsDark().addEventListener("change", apply);
}

/** The scheme on screen, for what draws with colours of its own. */
export function useColourScheme(): ColourScheme {
  return useSyncExternalStore(subscribe, currentScheme);
}

function currentScheme(): ColourScheme {
  const { theme } = usePreferences.getState();
  if (theme !== "system") return theme;
  return systemIsDark().matches ? "dark" : "light";
}

function subscribe(changed: () => void): () => void {
  const stopPreferences = usePreferences.subscribe(changed);
  const media = systemIsDark();
  media.addEventListener("change", changed);
  return () => {
    stopPreferences();
    media.removeEventListener("change", changed);
  };
}
