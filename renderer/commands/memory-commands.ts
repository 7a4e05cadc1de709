/** Every memory action of every consumer, made from the state: the same commands are a row's buttons. */
import type { ConsumerState } from "../../core/contract/state.ts";
import { formatBytes } from "../../core/units.ts";
import { copyText } from "../state/files.ts";
import { notify } from "../state/notices.ts";
import { askWhereToLend, openDialog } from "../state/view.ts";
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
  const { engine, consumers, device } = session;
  return actionsFor({ consumer, engine, consumers, device })
    .filter(({ kind }) => kind !== "swap")
    .map((action) => ({
      id: actionId(consumer.consumer, action),
      title: titleOf(consumer.consumer, action),
      label: action.label,
      group: "Memory" as const,
      consequence: action.consequence,
      destructive: action.destructive,
      ...refusedBecause(refusedOffline(context), action.refused),
      run: () => perform(context, consumer, action),
    }));
}

async function perform(
  context: CommandContext,
  { consumer, loan }: ConsumerState,
  action: ConsumerAction,
): Promise<void> {
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
    case "lend":
      askWhereToLend(consumer);
      return;
    case "end_loan":
      await context.request("end_loan", { consumer });
      return;
    case "copy_socket":
      if (loan !== undefined) await copyText(loan.path);
      notify("The socket's path is on the clipboard");
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

function titleOf(consumer: string, action: ConsumerAction): string {
  switch (action.kind) {
    case "release":
      return `Release ${consumer}: ${lowerFirst(action.label)}`;
    case "resume":
      return `Resume ${consumer}`;
    case "swap":
      return `Swap ${consumer}`;
    case "lend":
      return `Lend ${consumer} to another process…`;
    case "end_loan":
      return `End the loan of ${consumer}`;
    case "copy_socket":
      return `Copy the path of the socket that lends ${consumer}`;
    case "unload":
      return `Unload ${consumer}`;
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
