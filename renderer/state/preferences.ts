/** How this person likes the window: theme and panel sizes, kept in the browser's storage of this origin. */
import { z } from "zod";
import { create } from "zustand";

export const SCREENS = ["run", "plan"] as const;
export type Screen = (typeof SCREENS)[number];

export const PLAN_TABS = ["terms", "residency", "transitions", "room", "differences"] as const;
export type PlanTab = (typeof PLAN_TABS)[number];

export const RUN_TABS = ["memory", "learning", "rollouts", "savings", "actions"] as const;
export type RunTab = (typeof RUN_TABS)[number];

const STORAGE_KEY = "tideline.preferences";

const preferencesSchema = z.object({
  screen: z.enum(SCREENS).catch("run"),
  theme: z.enum(["system", "light", "dark"]).catch("system"),
  /** Width of the side column, in CSS pixels. */
  sideWidthPx: z.number().min(320).max(800).catch(440),
  /** Share of the main column's height that the timeline takes. */
  timelineShare: z.number().min(0.25).max(0.8).catch(0.54),
  timelineView: z.enum(["chart", "table"]).catch("chart"),
  /** What is shown below the timeline during a PPO run. */
  runTab: z.enum(RUN_TABS).catch("memory"),
  planChart: z.enum(["phases", "time"]).catch("phases"),
  /** What is shown below the bars of a plan. */
  planTab: z.enum(PLAN_TABS).catch("terms"),
  learningView: z.enum(["chart", "table"]).catch("chart"),
});
export type Preferences = z.infer<typeof preferencesSchema>;
export type Theme = Preferences["theme"];

export const usePreferences = create<Preferences>(() => read());

export function setPreferences(change: Partial<Preferences>): void {
  usePreferences.setState((before) => preferencesSchema.parse({ ...before, ...change }));
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(usePreferences.getState()));
  } catch {
    // Storage may be full or forbidden; the preference then lasts as long as the window.
  }
}

/** The theme after `theme` in the order that the switch goes through. */
export function nextTheme(theme: Theme): Theme {
  switch (theme) {
    case "system":
      return "light";
    case "light":
      return "dark";
    case "dark":
      return "system";
  }
}

function read(): Preferences {
  let stored: unknown;
  try {
    stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}");
  } catch {
    stored = {};
  }
  const parsed = preferencesSchema.safeParse(stored);
  return parsed.success ? parsed.data : preferencesSchema.parse({});
}
