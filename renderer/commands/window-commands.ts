/** The window's own commands: palette, shortcuts, theme, settings. */
import { nextTheme, type Preferences, setPreferences, type Theme } from "../state/preferences.ts";
import { openDialog } from "../state/view.ts";
import type { Command } from "./command.ts";
import { type CommandContext, refusedBecause, refusedOffline } from "./context.ts";

const THEMES: readonly { readonly theme: Theme; readonly title: string }[] = [
  { theme: "system", title: "Theme: as the system" },
  { theme: "light", title: "Theme: light" },
  { theme: "dark", title: "Theme: dark" },
];

export function windowCommands(context: CommandContext): readonly Command[] {
  const { theme, screen, timelineView } = context.preferences;
  return [
    {
      id: "window.palette",
      title: "Find a command",
      label: "Commands",
      group: "Window",
      keys: [{ key: "k", mod: true }],
      run: () => openDialog("palette"),
    },
    {
      id: "window.shortcuts",
      title: "Keyboard shortcuts",
      group: "Window",
      keys: [{ key: "?" }],
      run: () => openDialog("shortcuts"),
    },
    {
      id: "window.device_settings",
      title: "Device, capacity and KV cache…",
      label: "Device…",
      group: "Window",
      keys: [{ key: ",", mod: true }],
      ...refusedBecause(
        refusedOffline(context),
        context.session?.run !== undefined && "a PPO run has the device: end it first",
      ),
      run: () => openDialog("device_settings"),
    },
    {
      id: "window.theme",
      title: "Switch the theme",
      label: `Theme: ${theme}`,
      group: "Window",
      keys: [{ key: "l", mod: true, shift: true }],
      run: () => setPreferences({ theme: nextTheme(theme) }),
    },
    ...THEMES.map(
      (choice): Command => ({
        id: `window.theme.${choice.theme}`,
        title: choice.title,
        group: "Window",
        ...refusedBecause(choice.theme === theme && "it is this one already"),
        run: () => setPreferences({ theme: choice.theme }),
      }),
    ),
    ...(screen === "run" ? [timelineViewCommand(timelineView)] : []),
  ];
}

function timelineViewCommand(timelineView: Preferences["timelineView"]): Command {
  return {
    id: "timeline.view",
    title: timelineView === "chart" ? "Show the timeline as a table" : "Show the timeline as a chart",
    label: timelineView === "chart" ? "Table" : "Chart",
    group: "Timeline",
    keys: [{ code: "KeyV" }],
    run: () => setPreferences({ timelineView: timelineView === "chart" ? "table" : "chart" }),
  };
}
