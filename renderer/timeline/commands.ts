/** What can be done to a timeline's view, for the one command registry. Letters by their place on the keyboard. */

import type { StackHeight } from "../../core/timeline/stack.ts";
import type { Command } from "../commands/command.ts";
import type { TimelineView } from "./view.ts";

/** The order that one key goes through. */
const NEXT_HEIGHT: Readonly<Record<StackHeight, { readonly height: StackHeight; readonly title: string }>> = {
  capacity: { height: "data", title: "Scale to what is in use" },
  data: { height: "regions", title: "Show only what regions hold, without context and unaccounted" },
  regions: { height: "capacity", title: "Scale to the device's capacity" },
};

const ZOOM_STEP = 0.6;
const PAN_SHARE = 0.2;

/** The commands of one view; made anew when its state changes, because some depend on it. */
export function timelineCommands(view: TimelineView): readonly Command[] {
  const { cursorA, cursorB, isFollowing, height, timeLabels } = view.state;
  const hasRange = cursorA !== undefined && cursorB !== undefined;
  const notLive = view.isLive ? {} : { refused: "this is a recording: nothing new arrives" };
  const command = (id: string, title: string, keys: Command["keys"] & {}, run: () => void): Command => ({
    id: `timeline.${id}`,
    title,
    group: "Timeline",
    keys,
    run,
  });
  return [
    command("zoom_in", "Zoom in", [{ code: "KeyW" }], () => view.zoomHere(ZOOM_STEP)),
    command("zoom_out", "Zoom out", [{ code: "KeyS" }], () => view.zoomHere(1 / ZOOM_STEP)),
    command("pan_left", "Move to earlier", [{ code: "KeyA" }], () => view.panBy(-PAN_SHARE, true)),
    command("pan_right", "Move to later", [{ code: "KeyD" }], () => view.panBy(PAN_SHARE, true)),
    command("fit", hasRange ? "Fit the selection" : "Fit everything", [{ code: "KeyF" }], () => view.fit()),
    command("reset", view.isLive ? "Last half minute, live" : "Show all of it", [{ key: "0" }, { code: "KeyH" }], () =>
      view.reset(),
    ),
    {
      ...command(
        "pause",
        isFollowing ? "Pause the view (recording goes on)" : "Follow what is live",
        [{ code: "KeyP" }],
        () => (view.state.isFollowing ? view.pause() : view.follow()),
      ),
      ...notLive,
    },
    { ...command("follow", "Go to live and follow", [{ code: "KeyL" }], () => view.follow()), ...notLive },
    command("height", NEXT_HEIGHT[height].title, [{ code: "KeyY" }], () => view.setHeight(NEXT_HEIGHT[height].height)),
    command(
      "time_labels",
      timeLabels === "relative" ? "Label with the clock" : "Label with time since the start",
      [{ code: "KeyT" }],
      () => view.toggleTimeLabels(),
    ),
    {
      ...command("clear_cursors", "Clear the cursors", [{ key: "Escape" }], () =>
        view.setCursors(undefined, undefined),
      ),
      ...(cursorA === undefined && { refused: "no cursor is set: click on the timeline to set one" }),
    },
  ];
}
