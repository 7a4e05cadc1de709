/** The `?` sheet: every command that has keys, by group, read from the registry. */
import type { ReactNode } from "react";
import { COMMAND_GROUPS } from "../commands/command.ts";
import { chordIdentity } from "../commands/keys.ts";
import { useCommands } from "../commands/use-commands.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Kbd } from "../components/kbd.tsx";
import "./shortcut-sheet.css";

export function ShortcutSheet(): ReactNode {
  const commands = useCommands().filter(({ keys }) => keys !== undefined);
  return (
    <Dialog title="Keyboard shortcuts" width="wide">
      <div className="shortcuts">
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
