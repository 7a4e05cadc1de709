/** Every memory action of every consumer, made from the state: the same commands are a row's buttons. */
import type { ConsumerState } from "../../core/contract/state.ts";
import { formatBytes } from "../../core/units.ts";
import { openDialog } from "../state/view.ts";
import type { Command } from "./command.ts";
import { actionId, actionsFor, type ConsumerAction, roleOf } from "./consumer-actions.ts";
import { type CommandContext, refusedBecause, refusedOffline } from "./context.ts";

export function memoryCommands(context: CommandContext): readonly Command[] {
  const { session } = context;
  if (session === undefined) return [];
  return [
    ...session.consumers.flatMap((consumer) => consumerCommands(context, consumer)),
    ...trimCommand(context, session.device.heldBytes),
    ...operationCommands(context),
  ];
}

/** Cancelling what takes long. */
export function operationCommands(context: CommandContext): readonly Command[] {
  return (context.session?.operations ?? [])
    .filter(({ cancellable }) => cancellable)
    .map(({ id, label }) => ({
      id: `operation.cancel.${id}`,
      title: `Cancel: ${label}`,
      label: "Cancel",
      group: "Memory" as const,
      ...refusedBecause(refusedOffline(context)),
      run: async () => {
        await context.request("cancel_operation", { id });
      },
    }));
}

/** The commands of one consumer's row; swapping is the engine's own command and not repeated here. */
export function consumerCommands(context: CommandContext, consumer: ConsumerState): readonly Command[] {
  const { session } = context;
  if (session === undefined) return [];
  return actionsFor({ consumer, engine: session.engine, consumers: session.consumers })
    .filter(({ kind }) => kind !== "swap")
    .map((action) => ({
      id: actionId(consumer.consumer, action),
      title: `${titleOf(action)} ${consumer.consumer}${action.kind === "release" ? `: ${lowerFirst(action.label)}` : ""}`,
      label: action.label,
      group: "Memory" as const,
      consequence: action.consequence,
      destructive: action.destructive,
      ...refusedBecause(refusedOffline(context), action.refused),
      run: () => perform(context, consumer.consumer, action),
    }));
}

async function perform(context: CommandContext, consumer: string, action: ConsumerAction): Promise<void> {
  switch (action.kind) {
    case "release":
      await context.request("release", { consumer, mode: action.mode, destination: action.destination });
      return;
    case "resume":
      await context.request("resume", { consumer });
      return;
    case "swap":
      openDialog("swap");
      return;
    case "unload": {
      const role = roleOf(consumer);
      if (role !== undefined) await context.request("unload_model", { role });
      return;
    }
  }
}

function trimCommand(context: CommandContext, heldBytes: number): readonly Command[] {
  if (heldBytes === 0) return [];
  return [
    {
      id: "pool.trim",
      title: "Give the pool back to the device",
      label: "Give back",
      group: "Memory",
      consequence: `frees ${formatBytes(heldBytes)} that this process holds and no consumer uses`,
      ...refusedBecause(refusedOffline(context)),
      run: async () => {
        await context.request("trim", {});
      },
    },
  ];
}

function titleOf(action: ConsumerAction): string {
  switch (action.kind) {
    case "release":
      return "Release";
    case "resume":
      return "Resume";
    case "swap":
      return "Swap";
    case "unload":
      return "Unload";
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
