/** Something that is on or off, as a switch: it takes effect where it stands, nothing has to be sent. */
import { Switch as Base } from "@base-ui/react/switch";
import type { ReactNode } from "react";
import "./switch.css";

export function Switch(props: {
  readonly label: string;
  readonly checked: boolean;
  readonly disabled?: boolean;
  /** Id of the words that explain it. */
  readonly describedBy?: string;
  readonly onChecked: (checked: boolean) => void;
}): ReactNode {
  return (
    <Base.Root
      className="switch"
      aria-label={props.label}
      aria-describedby={props.describedBy}
      checked={props.checked}
      disabled={props.disabled}
      onCheckedChange={(checked) => props.onChecked(checked)}
    >
      <Base.Thumb className="switch-thumb" />
    </Base.Root>
  );
}
