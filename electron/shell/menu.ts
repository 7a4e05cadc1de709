/**
 * The application menu. Items that do something in the renderer carry the id of one of its commands and send it through
 * the door, so a menu item, a button, a key and a palette entry are the same command. Keys are the renderer's too
 * (it shows them in the `?` sheet); the menu itself only binds what Electron has a role for.
 */
import type { MenuItemConstructorOptions } from "electron";

export interface MenuParts {
  /** Runs a renderer command in the window. */
  readonly runCommand: (commandId: string) => void;
  readonly isDevelopment: boolean;
}

/** The menu as data: Electron builds it, tests read it. */
export function menuTemplate({ runCommand, isDevelopment }: MenuParts): MenuItemConstructorOptions[] {
  const command = (label: string, id: string): MenuItemConstructorOptions => ({
    label,
    id,
    click: () => runCommand(id),
  });
  const separator: MenuItemConstructorOptions = { type: "separator" };
  return [
    {
      label: "&File",
      submenu: [
        command("Open a checkpoint…", "checkpoint.open"),
        command("Open the demo checkpoint", "checkpoint.demo"),
        command("Load a second model…", "checkpoint.load_model"),
        command("Save the weights…", "checkpoint.save"),
        separator,
        { role: "quit" },
      ],
    },
    { role: "editMenu" },
    {
      label: "&PPO",
      submenu: [
        command("Open a PPO run…", "run.open"),
        separator,
        command("Play or pause", "run.play"),
        command("Do the next action or work", "run.next_action"),
        command("Go to the next phase", "run.next_phase"),
        command("Go to the next PPO step", "run.next_step"),
        separator,
        command("End the PPO run", "run.close"),
      ],
    },
    {
      label: "&Engine",
      submenu: [
        command("Generate", "generate.start"),
        command("Stop the generation", "generate.stop"),
        separator,
        command("Pause the engine", "engine.pause.in_place"),
        command("Continue the engine", "engine.continue"),
        command("Swap the weights…", "engine.swap"),
        separator,
        command("Give the pool back to the device", "pool.trim"),
        command("Device, capacity and KV cache…", "window.device_settings"),
      ],
    },
    {
      label: "&View",
      submenu: [
        command("Find a command", "window.palette"),
        command("Timeline as a chart or a table", "timeline.view"),
        command("Light or dark", "window.theme"),
        separator,
        { role: "togglefullscreen" },
        ...(isDevelopment ? ([separator, { role: "reload" }, { role: "toggleDevTools" }] as const) : []),
      ],
    },
    { role: "windowMenu" },
    { role: "help", submenu: [command("Keyboard shortcuts", "window.shortcuts")] },
  ];
}
