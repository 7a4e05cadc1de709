/** Going from one screen to another, and what each of them is for. */
import { SCREENS, type Screen, setPreferences } from "../state/preferences.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";

const WORDS: Readonly<Record<Screen, { readonly label: string; readonly consequence: string }>> = {
  run: { label: "Run", consequence: "the device live: an engine, or a PPO loop stepped by hand" },
  plan: { label: "Plan", consequence: "what a PPO loop would take, phase by phase, before it runs" },
};

export function screenCommands({ preferences }: CommandContext): readonly Command[] {
  return SCREENS.map((screen, index) => {
    const { label, consequence } = WORDS[screen];
    return {
      id: `screen.${screen}`,
      title: `Go to the ${label} screen`,
      label,
      group: "Window",
      keys: [{ key: String(index + 1), alt: true }],
      consequence,
      ...(preferences.screen === screen && { refused: "it is this one already" }),
      run: () => setPreferences({ screen }),
    };
  });
}
