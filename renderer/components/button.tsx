/** Buttons. One that stands for a command takes its words, keys, refusal and effect from the registry. */
import { LoaderCircle, type LucideIcon } from "lucide-react";
import { type ComponentProps, memo, type ReactNode } from "react";
import type { Command } from "../commands/command.ts";
import { execute } from "../commands/registry.ts";
import { useCommand } from "../commands/use-commands.tsx";
import { useView } from "../state/view.ts";
import { Kbd } from "./kbd.tsx";
import { Tooltip } from "./tooltip.tsx";
import { Words } from "./words.tsx";
import "./button.css";

export type ButtonKind = "primary" | "plain" | "quiet" | "danger";

interface ButtonProps extends ComponentProps<"button"> {
  readonly kind?: ButtonKind;
  readonly icon?: LucideIcon | undefined;
  readonly busy?: boolean;
}

export function Button({
  kind = "plain",
  icon: Icon,
  busy = false,
  children,
  className,
  ...rest
}: ButtonProps): ReactNode {
  return (
    <button
      type="button"
      {...rest}
      data-kind={kind}
      aria-busy={busy || undefined}
      className={`button ${className ?? ""}`}
    >
      {busy ? <LoaderCircle className="spinning" aria-hidden size={14} /> : Icon && <Icon aria-hidden size={14} />}
      {children}
    </button>
  );
}

interface CommandButtonProps {
  readonly id: string;
  readonly kind?: ButtonKind;
  readonly icon?: LucideIcon;
  /** Words on the button; the command's label otherwise. */
  readonly label?: string;
  /** Only the icon is drawn; the words are for assistive technology. */
  readonly iconOnly?: boolean;
  readonly className?: string;
}

/** The button of a command; nothing when the command does not exist in this state. */
export const CommandButton = memo(function CommandButton(props: CommandButtonProps): ReactNode {
  const command = useCommand(props.id);
  const busy = useView((view) => view.pending.has(props.id));
  if (command === undefined) return undefined;
  const label = props.label ?? command.label ?? command.title;
  return (
    <Tooltip content={<CommandWords command={command} />}>
      <Button
        kind={props.kind ?? "plain"}
        icon={props.icon}
        busy={busy}
        className={`${props.className ?? ""} ${props.iconOnly ? "button-icon" : ""}`}
        data-command={props.id}
        // Not `disabled`: a refused button stays reachable, and says why.
        aria-disabled={command.refused !== undefined || undefined}
        aria-label={props.iconOnly ? label : undefined}
        aria-description={command.refused ?? command.consequence}
        onClick={() => void execute(command)}
      >
        {props.iconOnly ? undefined : label}
      </Button>
    </Tooltip>
  );
});

/** What a tooltip says about a command. */
export function CommandWords({ command }: { readonly command: Command }): ReactNode {
  const chord = command.keys?.[0];
  return (
    <>
      <div className="tooltip-title">
        <span>{command.title}</span>
        {chord && <Kbd chord={chord} />}
      </div>
      {command.consequence && (
        <div className="tooltip-more">
          <Words text={command.consequence} />
        </div>
      )}
      {command.refused && (
        <div className="tooltip-refused">
          <Words text={command.refused} />
        </div>
      )}
    </>
  );
}
