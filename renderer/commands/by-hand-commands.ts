/**
 * Memory actions by hand during a PPO run: what the session would take, with what it leads to said beforehand. Harmless ones
 * are done at once; for the others a dialog asks.
 */

import type { RunState } from "../../core/run/state.ts";
import { actionsByHand, aftermathOf, aftermathWords } from "../../core/schedule/by-hand.ts";
import { type Action, describeAction } from "../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../core/schedule/works.ts";
import { formatBytes } from "../../core/units.ts";
import { capitalised } from "../components/capitalised.ts";
import { askBeforeActing } from "../state/view.ts";
import type { Command } from "./command.ts";
import { type CommandContext, refusedBecause, refusedOffline } from "./context.ts";

export function byHandCommands(context: CommandContext, run: RunState): readonly Command[] {
  return SCHEDULED_CONSUMERS.flatMap((consumer) =>
    actionsByHand(run.memory, consumer, run.schedule.roles).map((action) =>
      byHandCommand(context, run, consumer, action),
    ),
  );
}

/** The id of the command that does an action by hand. */
export function byHandId(action: Action): string {
  return `by_hand.${describeAction(action)}`;
}

function byHandCommand(context: CommandContext, run: RunState, consumer: ScheduledConsumer, action: Action): Command {
  const { schedule, memory, cursor } = run;
  const isGoing = cursor.run.status === "running" || cursor.run.status === "cancelling";
  // While it goes on, what an action would lead to changes with every item.
  const aftermath = isGoing ? undefined : aftermathOf(schedule, memory, cursor.index, action);
  const words = aftermath && aftermathWords(aftermath, context.secondsOf);
  const effect = effectOf(context, run, consumer, action);
  return {
    id: byHandId(action),
    title: capitalised(describeAction(action)),
    label: labelOf(action),
    group: "Memory",
    consequence: words === undefined ? effect : `${effect}; ${words}`,
    destructive: aftermath?.kind === "lost",
    ...refusedBecause(
      refusedOffline(context),
      isGoing && "the run goes on: pause it first",
      (aftermath?.kind === "refused" || aftermath?.kind === "already") && words,
    ),
    run: async () => {
      if (aftermath?.kind === "needed" || aftermath?.kind === "lost") askBeforeActing(action);
      else await context.request("act", { action });
    },
  };
}

/** Short words beside the consumer that an action is on. */
function labelOf(action: Action): string {
  switch (action.kind) {
    case "release":
      return action.destination === "hold" ? "Release, hold in the pool" : "Release";
    case "resume":
      return "Resume";
    case "offload":
      return `Offload to ${action.to}`;
    case "load":
      return "Load";
    case "swap":
      return `Swap in ${action.from}`;
  }
}

function effectOf(context: CommandContext, run: RunState, consumer: ScheduledConsumer, action: Action): string {
  const state = context.session?.consumers.find((candidate) => candidate.consumer === consumer);
  const committed = formatBytes(state?.committedBytes ?? 0);
  const backup = run.memory[consumer].backup;
  switch (action.kind) {
    case "release":
      if (run.memory[consumer].residency !== "resident") return "drops the copy that is kept of it";
      return action.destination === "hold"
        ? `keeps ${committed} in the pool for the next region`
        : `frees ${committed}`;
    case "offload":
      return backup?.clean === true && backup.where === action.to
        ? `frees ${committed} and copies nothing: the copy on ${action.to} is current`
        : `frees ${committed}, its contents go to ${action.to}`;
    case "resume":
      return "takes its memory again, with nothing in it";
    case "load":
      return "takes its memory again and copies its contents back";
    case "swap":
      return `writes ${consumer} from ${action.from}`;
  }
}
