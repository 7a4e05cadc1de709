/** What commands are made from: the state they depend on and the means they act with. */

import type { SessionState } from "../../core/contract/state.ts";
import type { GenerationState } from "../../core/contract/timeline.ts";
import type { Action } from "../../core/schedule/schedule.ts";
import type { Client } from "../door/client.ts";
import type { Preferences } from "../state/preferences.ts";
import type { PromptDraft } from "../state/prompt.ts";
import type { Command } from "./command.ts";
import { refusedWhileMapped } from "./consumer-actions.ts";

export interface CommandContext {
  readonly session: SessionState | undefined;
  readonly connected: boolean;
  /** Of several devices of a run the one that the timeline shows; undefined: the engine's. */
  readonly shownDevice?: string | undefined;
  /** Generations under way, newest last. */
  readonly running: readonly GenerationState[];
  /** How long an action of a schedule took when it was last done; undefined: it never was. */
  readonly secondsOf: (action: Action) => number | undefined;
  readonly draft: PromptDraft;
  readonly preferences: Preferences;
  /** The operating system's folder dialog, where there is one. */
  readonly pickFolder: (() => Promise<string | undefined>) | undefined;
  /** Commands of what only the screen on show has: its timeline, its plan. */
  readonly ofScreen: readonly Command[];
  readonly request: Client["request"];
}

/** Why nothing can be asked of the session now. */
export function refusedOffline(context: CommandContext): string | undefined {
  if (!context.connected) return "the session cannot be reached";
  return context.session === undefined ? "the session has not answered yet" : undefined;
}

/** Why nothing can take the engine's weights, or with `all` anything, off the device: another process has it mapped. */
export function refusedMapped({ session }: CommandContext, { all = false } = {}): string | undefined {
  const consumers = session?.consumers ?? [];
  return refusedWhileMapped(all ? consumers : consumers.filter(({ consumer }) => consumer === "engine.weights"));
}

/** The first reason that there is, as the optional field of a command. */
export function refusedBecause(...reasons: readonly (string | false | undefined)[]): { readonly refused?: string } {
  const reason = reasons.find((candidate) => typeof candidate === "string");
  return typeof reason === "string" ? { refused: reason } : {};
}
