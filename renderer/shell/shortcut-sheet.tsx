/** The `?` sheet: every command that has keys, by group, read from the registry. */
import type { ReactNode } from "react";
import { COMMAND_GROUPS } from "../commands/command.ts";
import { chordIdentity } from "../commands/keys.ts";
import { useCommands } from "../commands/use-commands.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Kbd } from "../components/kbd.tsx";
import { usePreferences } from "../state/preferences.ts";
import "./shortcut-sheet.css";

/** What the pointer and the arrows do on a screen's own drawing: gestures, which no command stands for. */
type Gestures = readonly (readonly [what: string, how: string])[];

const TIMELINE_GESTURES: Gestures = [
  ["Zoom about the pointer", "wheel, or pinch"],
  ["Move through time", "drag, or Shift + wheel"],
  ["Set cursor A, cursor B", "click, Shift + click"],
  ["Measure a stretch", "Shift + drag"],
  ["Move cursor A, cursor B", "← →, Shift + ← →"],
];

const BARS_GESTURES: Gestures = [
  ["Reasons of a consumer's bytes", "point at it"],
  ["Choose a phase", "click, or ← →"],
];

export function ShortcutSheet(): ReactNode {
  const screen = usePreferences((preferences) => preferences.screen);
  const commands = useCommands().filter(({ keys }) => keys !== undefined);
  return (
    <Dialog title="Keyboard shortcuts" width="wide">
      <div className="shortcuts">
        <section className="shortcut-group">
          <h3>{screen === "run" ? "On the timeline" : "On the bars"}</h3>
          <dl>
            {(screen === "run" ? TIMELINE_GESTURES : BARS_GESTURES).map(([what, how]) => (
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
