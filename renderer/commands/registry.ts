/**
 * Everything the program can do now, in one list. Buttons look their command up here, the key handler, the palette and
 * the `?` sheet read the same list, so none of them can offer what the others do not know.
 */
import { toErrorData } from "../../core/errors.ts";
import { dismissErrorsOf, notify, notifyError } from "../state/notices.ts";
import { setPending, useView } from "../state/view.ts";
import { byHandCommands } from "./by-hand-commands.ts";
import { checkpointCommands } from "./checkpoint-commands.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { deviceCommands } from "./device-commands.ts";
import { engineCommands } from "./engine-commands.ts";
import { generateCommands } from "./generate-commands.ts";
import { type KeyPress, matches, worksWhileTyping } from "./keys.ts";
import { memoryCommands, operationCommands } from "./memory-commands.ts";
import { openRunCommands, runCommands } from "./run-commands.ts";
import { screenCommands } from "./screen-commands.ts";
import { windowCommands } from "./window-commands.ts";

/** All commands of this moment, in the order in which the palette shows them. */
export function buildCommands(context: CommandContext): readonly Command[] {
  const run = context.session?.run;
  // A PPO run has the device, or the engine has.
  const ofDevice =
    run === undefined
      ? [
          ...openRunCommands(context),
          ...generateCommands(context),
          ...engineCommands(context),
          ...memoryCommands(context),
          ...checkpointCommands(context),
        ]
      : [
          ...runCommands(context, run),
          ...deviceCommands(context),
          ...byHandCommands(context, run),
          ...operationCommands(context),
        ];
  const { ofScreen, preferences } = context;
  return [
    ...(preferences.screen === "run" ? [...ofDevice, ...ofScreen] : [...ofScreen, ...ofDevice.map(withoutKeys)]),
    ...screenCommands(context),
    ...windowCommands(context),
  ];
}

/** From the palette only: keys belong to the screen on show. */
function withoutKeys({ keys: _, ...command }: Command): Command {
  return command;
}

/** Why the application's menu, which is always the same, names a command that does not exist in this state. */
export function absentBecause(hasRun: boolean): string {
  return hasRun ? "A PPO run has the device: end it first" : "No PPO run is open: open one first";
}

/**
 * The command that a key press means; while typing, plain characters mean themselves. Escape has several meanings: the
 * first one that is possible now is taken, in the order of the registry.
 */
export function commandForKey(
  commands: readonly Command[],
  press: KeyPress,
  options: { readonly typing: boolean; readonly mac: boolean },
): Command | undefined {
  const meant = commands.filter((command) =>
    command.keys?.some((chord) => (!options.typing || worksWhileTyping(chord)) && matches(chord, press, options.mac)),
  );
  return meant.find((command) => command.refused === undefined) ?? meant[0];
}

/** Runs a command as a person asked: says why when it is refused, shows what went wrong when it fails. */
export async function execute(command: Command): Promise<void> {
  if (command.refused !== undefined) {
    notify(`${command.title}: ${command.refused}`);
    return;
  }
  if (useView.getState().pending.has(command.id)) return;
  setPending(command.id, true);
  try {
    await command.run();
    dismissErrorsOf(command.title);
  } catch (error) {
    const data = toErrorData(error);
    if (data.code === "cancelled") notify(`${command.title}: cancelled`);
    else notifyError(command.title, data);
  } finally {
    setPending(command.id, false);
  }
}
