/** A button that opens a list of commands, each with what follows from it. */
import { Menu as Base } from "@base-ui/react/menu";
import { ChevronDown, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import type { Command } from "../commands/command.ts";
import { execute } from "../commands/registry.ts";
import { Button, type ButtonKind } from "./button.tsx";
import { Words } from "./words.tsx";
import "./popup.css";

interface CommandMenuProps {
  readonly label: string;
  /** For assistive technology, where the label alone lacks its subject. */
  readonly description?: string;
  readonly commands: readonly Command[];
  readonly icon?: LucideIcon;
  readonly kind?: ButtonKind;
  readonly heading?: string;
}

export function CommandMenu({ label, description, commands, icon, kind, heading }: CommandMenuProps): ReactNode {
  return (
    <Base.Root>
      <Base.Trigger
        render={
          <Button kind={kind ?? "plain"} icon={icon} aria-label={description}>
            {label}
            <ChevronDown aria-hidden size={12} />
          </Button>
        }
      />
      <Base.Portal>
        <Base.Positioner align="end" sideOffset={4} collisionPadding={8} className="popup-positioner">
          <Base.Popup className="menu">
            <Base.Group>
              {heading && <Base.GroupLabel className="menu-label">{heading}</Base.GroupLabel>}
              {commands.map((command) => (
                <CommandMenuItem key={command.id} command={command} />
              ))}
            </Base.Group>
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

function CommandMenuItem({ command }: { readonly command: Command }): ReactNode {
  return (
    <Base.Item
      className="menu-item"
      disabled={command.refused !== undefined}
      data-destructive={command.destructive || undefined}
      data-command={command.id}
      onClick={() => void execute(command)}
    >
      <span className="menu-item-title">{command.label ?? command.title}</span>
      {command.consequence && (
        <span className="menu-item-more">
          <Words text={command.consequence} />
        </span>
      )}
      {command.refused && (
        <span className="menu-item-refused">
          <Words text={command.refused} />
        </span>
      )}
    </Base.Item>
  );
}
