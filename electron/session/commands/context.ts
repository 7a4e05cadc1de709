/** What the handlers of the commands work with: the parts of a session, and nothing of its doors. */
import type { CommandAnswer, CommandName, CommandRequest } from "../../../core/contract/commands.ts";
import type { SessionState } from "../../../core/contract/state.ts";
import type { Actions } from "../actions.ts";
import type { DeviceOwner } from "../device-owner.ts";
import type { Generations } from "../generations.ts";
import type { Operations } from "../operations.ts";
import type { Recorder } from "../recorder.ts";
import type { Settings } from "../settings.ts";
import type { Tokenizers } from "../tokenizers.ts";

export interface CommandContext {
  /** Asked for its backend in turn, not before: who has the device may change while a command waits. */
  readonly device: DeviceOwner;
  readonly settings: Settings;
  readonly recorder: Recorder;
  readonly operations: Operations;
  readonly actions: Actions;
  readonly generations: Generations;
  readonly tokenizers: Tokenizers;
  /** The workload that ships with Tideline. */
  readonly demoWorkload?: string;
  readonly socketsFolder: string;
  readonly state: () => SessionState;
  /** Says that the state is another one now. */
  readonly changed: () => void;
}

/** What was done is done, also where it cannot be remembered for the next start: that is told as a failure of its own. */
export function remember({ actions, settings }: CommandContext, save: (settings: Settings) => void): void {
  try {
    save(settings);
  } catch (error) {
    actions.recordFailure({ kind: "configure", label: "remember the settings" }, error);
  }
}

export type Handler<Name extends CommandName> = (
  request: CommandRequest<Name>,
  context: CommandContext,
) => Promise<CommandAnswer<Name>>;

export type Handlers<Names extends CommandName> = { readonly [Name in Names]: Handler<Name> };
