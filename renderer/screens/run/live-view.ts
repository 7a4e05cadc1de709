/** The one live view of this session's timeline, and its commands for the registry. */
import { useMemo, useSyncExternalStore } from "react";
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import type { Command } from "../../commands/command.ts";
import { timelineCommands } from "../../timeline/commands.ts";
import { TimelineView } from "../../timeline/view.ts";

export const liveView = new TimelineView({ isLive: true });

/** Puts the timeline's cursors around an action. */
export function showAction(action: ActionRecord): void {
  liveView.select(action);
}

/** Made anew only when something changed that a command depends on: the view itself changes with every frame. */
export function useTimelineCommands(): readonly Command[] {
  const dependsOn = useSyncExternalStore(subscribe, commandState);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the view is read anew when this text changes
  return useMemo(() => timelineCommands(liveView), [dependsOn]);
}

function commandState(): string {
  const { cursorA, cursorB, isFollowing, height, timeLabels } = liveView.state;
  return [cursorA !== undefined, cursorB !== undefined, isFollowing, height, timeLabels].join();
}

function subscribe(changed: () => void): () => void {
  return liveView.subscribe(changed);
}
