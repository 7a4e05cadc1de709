/** The command palette: every command of this moment, found by typing. */
import { Dialog } from "@base-ui/react/dialog";
import { Command as List } from "cmdk";
import { type ReactNode, useState } from "react";
import { COMMAND_GROUPS, type Command } from "../commands/command.ts";
import { findCommands } from "../commands/find-commands.ts";
import { execute } from "../commands/registry.ts";
import { useCommands } from "../commands/use-commands.tsx";
import { Kbd } from "../components/kbd.tsx";
import { closeDialog } from "../state/view.ts";
import "./palette.css";

export function Palette(): ReactNode {
  // The palette itself is not worth finding in the palette.
  const commands = useCommands().filter(({ id }) => id !== "window.palette");
  const [query, setQuery] = useState("");
  const choose = (command: Command) => {
    closeDialog();
    void execute(command);
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && closeDialog()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="dialog-backdrop" />
        <Dialog.Popup className="dialog palette" aria-label="Commands">
          <List label="Commands" loop shouldFilter={false}>
            <List.Input
              autoFocus
              placeholder="Find a command"
              value={query}
              onValueChange={setQuery}
              className="palette-input"
            />
            <List.List className="palette-list">
              <List.Empty className="palette-empty">No command has these words.</List.Empty>
              {query.trim() === "" ? (
                <Groups commands={commands} onChoose={choose} />
              ) : (
                findCommands(commands, query).map((command) => (
                  <Item key={command.id} command={command} onSelect={() => choose(command)} />
                ))
              )}
            </List.List>
          </List>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** Before anything is typed: all of them, by group. */
function Groups(props: {
  readonly commands: readonly Command[];
  readonly onChoose: (command: Command) => void;
}): ReactNode {
  return COMMAND_GROUPS.map((group) => {
    const ofGroup = props.commands.filter((command) => command.group === group);
    return (
      ofGroup.length > 0 && (
        <List.Group key={group} heading={group} className="palette-group">
          {ofGroup.map((command) => (
            <Item key={command.id} command={command} onSelect={() => props.onChoose(command)} />
          ))}
        </List.Group>
      )
    );
  });
}

function Item({ command, onSelect }: { readonly command: Command; readonly onSelect: () => void }): ReactNode {
  return (
    <List.Item
      value={command.id}
      disabled={command.refused !== undefined}
      onSelect={onSelect}
      className="palette-item"
      data-destructive={command.destructive || undefined}
    >
      <span className="palette-words">
        <span className="palette-title">{command.title}</span>
        {(command.refused ?? command.consequence) && (
          <span className="palette-more">{command.refused ?? command.consequence}</span>
        )}
      </span>
      {command.keys?.[0] && <Kbd chord={command.keys[0]} />}
    </List.Item>
  );
}
