/** Starting and stopping generations. */
import { selectGeneration } from "../state/activity.ts";
import { checkDraft } from "../state/prompt.ts";
import type { Command } from "./command.ts";
import { type CommandContext, refusedBecause, refusedOffline } from "./context.ts";

export function generateCommands(context: CommandContext): readonly Command[] {
  const { session, running, request } = context;
  const engine = session?.engine;
  const checkpoint = engine === undefined || engine.status === "empty" ? undefined : engine.checkpoint;
  const draft = checkDraft(context.draft, checkpoint?.hasTokenizer ?? false);
  const obstacle = engine === undefined || engine.status === "empty" ? undefined : engine.obstacle;
  return [
    {
      id: "generate.start",
      title: "Generate from the prompt",
      label: "Generate",
      group: "Generate",
      keys: [{ key: "Enter", mod: true }],
      ...refusedBecause(
        refusedOffline(context),
        checkpoint === undefined && "no checkpoint is open: open one first",
        obstacle !== undefined && `${obstacle.message}: ${obstacle.hint}`,
        !draft.ok && draft.problem,
      ),
      run: async () => {
        if (!draft.ok) return;
        const { generation } = await request("generate", draft.request);
        selectGeneration(generation);
      },
    },
    {
      id: "generate.stop",
      title: running.length > 1 ? `Stop all ${running.length} generations` : "Stop the generation",
      label: "Stop",
      group: "Generate",
      keys: [{ key: "Escape" }],
      ...refusedBecause(refusedOffline(context), running.length === 0 && "nothing is being generated"),
      run: async () => {
        await Promise.all(running.map(({ id }) => request("cancel_generation", { generation: id })));
      },
    },
  ];
}
