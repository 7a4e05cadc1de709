/** One thing the program can do, as buttons, keys, the palette and the `?` sheet all see it. */
import type { Chord } from "./keys.ts";

export const COMMAND_GROUPS = [
  "Plan",
  "PPO run",
  "Generate",
  "Engine",
  "Memory",
  "Checkpoints",
  "Timeline",
  "Window",
] as const;
export type CommandGroup = (typeof COMMAND_GROUPS)[number];

export interface Command {
  /** Stable and unique, e.g. `release.engine.kv_cache.discard`. */
  readonly id: string;
  /** What it does, for the palette and the tooltip: "Release engine.kv_cache, discard". */
  readonly title: string;
  /** Shorter text for a button that stands beside its subject. */
  readonly label?: string;
  readonly group: CommandGroup;
  readonly keys?: readonly Chord[];
  /** What follows from it, said before the click: "frees 64.0 MiB; contents are lost". */
  readonly consequence?: string;
  /** Why it cannot be done now, and what would change that. Absent: it can. */
  readonly refused?: string;
  /** The rows' colour of danger: something is lost. */
  readonly destructive?: boolean;
  /** Does it. A rejection is shown to the person by whoever runs it. */
  readonly run: () => void | Promise<void>;
}
