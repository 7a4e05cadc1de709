/** Every command of the contract and its handler; one that is missing here does not compile. */
import { type CommandName, commands } from "../../../core/contract/commands.ts";
import { refusal } from "../../../core/input/fault.ts";
import { parseWith } from "../../../core/input/schema-fault.ts";
import type { CommandContext, Handlers } from "./context.ts";
import { generationCommands } from "./generation.ts";
import { memoryCommands } from "./memory.ts";
import { modelCommands } from "./models.ts";
import { questionCommands } from "./questions.ts";
import { runCommands } from "./run.ts";

const handlers: Handlers<CommandName> = {
  ...questionCommands,
  ...modelCommands,
  ...memoryCommands,
  ...generationCommands,
  ...runCommands,
};

/**
 * Checks the parameters of a command and runs it.
 * @throws TidelineError `bad_message` naming the field; whatever the handler throws.
 */
export async function runCommand<Name extends CommandName>(
  name: Name,
  params: unknown,
  context: CommandContext,
): Promise<unknown> {
  const source = { name, isMessage: true, code: "bad_message" } as const;
  const checked = parseWith<unknown>(commands[name].request, params ?? {}, (fault) => refusal(source, fault));
  // The schema that was just applied is this command's, which TypeScript cannot follow through the two lookups.
  const handler = handlers[name] as (request: unknown, context: CommandContext) => Promise<unknown>;
  return handler(checked, context);
}
