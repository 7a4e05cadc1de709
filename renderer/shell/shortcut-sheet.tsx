/** The `?` sheet: every command that has keys, by group, read from the registry. */
import type { ReactNode } from "react";
import { COMMAND_GROUPS } from "../commands/command.ts";
import { chordIdentity } from "../commands/keys.ts";
import { useCommands } from "../commands/use-commands.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Kbd } from "../components/kbd.tsx";
import "./shortcut-sheet.css";

/** What the pointer and the arrows do on the timeline: gestures, which no command stands for. */
const GESTURES: readonly (readonly [what: string, how: string])[] = [
  ["Zoom about the pointer", "wheel, or pinch"],
  ["Move through time", "drag, or Shift + wheel"],
  ["Set cursor A, cursor B", "click, Shift + click"],
  ["Measure a stretch", "Shift + drag"],
  ["Move cursor A, cursor B", "← →, Shift + ← →"],
];

export function ShortcutSheet(): ReactNode {
  const commands = useCommands().filter(({ keys }) => keys !== undefined);
  return (
    <Dialog title="Keyboard shortcuts" width="wide">
      <div className="shortcuts">
        <section className="shortcut-group">
          <h3>On the timeline</h3>
          <dl>
            {GESTURES.map(([what, how]) => (
              <div key={what}>
                <dt>{what}</dt>
                <dd className="shortcut-gesture">{how}</dd>
              </div>
            ))}
          </dl>
        </section>
        {COMMAND_GROUPS.map((group) => {
          const ofGroup = commands.filter((command) => command.group === group);
          return (
            ofGroup.length > 0 && (
              <section key={group} className="shortcut-group">
                <h3>{group}</h3>
                <dl>
                  {ofGroup.map((command) => (
                    <div key={command.id}>
                      <dt>{command.title}</dt>
                      <dd>
                        {command.keys?.map((chord) => (
                          <Kbd key={chordIdentity(chord)} chord={chord} />
                        ))}
                      </dd>
                    </div>
                  ))}
                </dl>
              </section>
            )
          );
        })}
      </div>
    </Dialog>
  );
}
