/** Opening, loading and saving checkpoints; two commands for each recent one. */
import { openDialog } from "../state/view.ts";
import type { Command } from "./command.ts";
import { type CommandContext, refusedBecause, refusedMapped, refusedOffline } from "./context.ts";

/** Recents that get their own entries in the palette. */
const MOST_RECENTS = 8;

export function checkpointCommands(context: CommandContext): readonly Command[] {
  const { session, request, pickFolder } = context;
  const offline = refusedOffline(context);
  const engine = session?.engine;
  const empty = engine?.status === "empty" && "no checkpoint is open";
  const running = engine?.status === "running" && "a generation is running: stop it first";
  const mapped = refusedMapped(context);
  const commands: Command[] = [
    {
      id: "checkpoint.open",
      title: "Open a checkpoint…",
      label: "Open…",
      group: "Checkpoints",
      keys: [{ key: "o", mod: true }],
      consequence: "reads a Hugging Face folder into the engine; the model loaded before stays when that fails",
      ...refusedBecause(offline, running, mapped),
      run: () => openDialog("open_checkpoint"),
    },
    {
      id: "checkpoint.load_model",
      title: "Load a second model beside the engine…",
      label: "Load second model…",
      group: "Checkpoints",
      consequence: "puts a policy, critic, reference or reward model on the device: a source to swap from",
      ...refusedBecause(offline),
      run: () => openDialog("load_model"),
    },
    {
      id: "checkpoint.save",
      title: "Save the engine's weights as a Hugging Face folder…",
      label: "Save…",
      group: "Checkpoints",
      keys: [{ key: "s", mod: true }],
      ...refusedBecause(offline, empty),
      run: () => openDialog("save_checkpoint"),
    },
  ];
  if (pickFolder !== undefined) {
    commands.push({
      id: "checkpoint.pick",
      title: "Choose a checkpoint folder…",
      label: "Choose folder…",
      group: "Checkpoints",
      ...refusedBecause(offline, running, mapped),
      run: async () => {
        const path = await pickFolder();
        if (path !== undefined) await request("open_checkpoint", { path });
      },
    });
  }
  const demo = session?.demoCheckpoint;
  if (demo !== undefined) {
    commands.push({
      id: "checkpoint.demo",
      title: "Open the demo checkpoint",
      label: "Open the demo",
      group: "Checkpoints",
      ...refusedBecause(offline, running, mapped),
      run: async () => {
        await request("open_checkpoint", { path: demo });
      },
    });
  }
  for (const recent of (session?.recents ?? []).slice(0, MOST_RECENTS)) {
    const gone = !recent.available && "the folder is no longer there";
    commands.push(
      {
        id: `recent.open.${recent.path}`,
        title: `Open ${recent.name}`,
        label: recent.name,
        group: "Checkpoints",
        consequence: recent.path,
        ...refusedBecause(offline, gone, running, mapped),
        run: async () => {
          await request("open_checkpoint", { path: recent.path });
        },
      },
      {
        id: `recent.swap.${recent.path}`,
        title: `Swap in ${recent.name}`,
        label: recent.name,
        group: "Checkpoints",
        consequence: recent.path,
        ...refusedBecause(offline, gone, empty, running),
        run: async () => {
          await request("swap", { source: { kind: "checkpoint", path: recent.path } });
        },
      },
    );
  }
  return commands;
}
