/** Which of the devices of a run the timeline shows; with one device there is nothing to choose. */
import { showDevice } from "../state/timeline.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";

export function deviceCommands({ session, shownDevice }: CommandContext): readonly Command[] {
  if (session === undefined || session.otherDevices.length === 0) return [];
  const own = session.device.name;
  const names = [own, ...session.otherDevices.map(({ device }) => device.name)];
  const shown = shownDevice ?? own;
  const next = names[(names.indexOf(shown) + 1) % names.length] ?? own;
  return [
    {
      id: "timeline.device",
      title: `Show the memory of ${next}`,
      label: shown,
      group: "Timeline",
      keys: [{ code: "KeyN" }],
      run: () => showDevice(next === own ? undefined : next),
    },
  ];
}
