/** The frame of every dialog: title, body, actions; closes with Escape and gives the focus back. */
import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { type FormEvent, type ReactNode, useRef } from "react";
import type { TidelineErrorData } from "../../core/errors.ts";
import { closeDialog } from "../state/view.ts";
import { Button } from "./button.tsx";
import { ErrorBox } from "./error-words.tsx";
import "./dialog.css";

interface DialogProps {
  readonly title: string;
  readonly description?: string;
  readonly width?: "narrow" | "wide" | "full";
  readonly children: ReactNode;
  /** What the last try ended with; it stays in sight, however long the body is. */
  readonly error?: TidelineErrorData | undefined;
  /** Buttons at the foot; a cancel button is added before them. */
  readonly actions?: ReactNode;
  /** Makes the dialog a form. */
  readonly onSubmit?: () => void;
}

export function Dialog(props: DialogProps): ReactNode {
  const body = useRef<HTMLDivElement>(null);
  const content = (
    <>
      <div className="dialog-body" ref={body}>
        {props.children}
      </div>
      {props.error && (
        <div className="dialog-error">
          <ErrorBox error={props.error} />
        </div>
      )}
      {props.actions && (
        <footer className="dialog-actions">
          <Base.Close render={<Button kind="quiet">Cancel</Button>} />
          {props.actions}
        </footer>
      )}
    </>
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    props.onSubmit?.();
  };
  return (
    <Base.Root open onOpenChange={(open) => !open && closeDialog()}>
      <Base.Portal>
        <Base.Backdrop className="dialog-backdrop" />
        <Base.Popup
          className="dialog"
          data-width={props.width ?? "narrow"}
          initialFocus={() => firstInput(body.current)}
        >
          <header className="dialog-header">
            <div>
              <Base.Title className="dialog-title">{props.title}</Base.Title>
              {props.description && (
                <Base.Description className="dialog-description">{props.description}</Base.Description>
              )}
            </div>
            <Base.Close render={<Button kind="quiet" icon={X} className="button-icon" aria-label="Close" />} />
          </header>
          {props.onSubmit ? <form onSubmit={submit}>{content}</form> : content}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

/**
 * Where typing should go: a text box that is in sight, else the chosen one of the first choices; `true` leaves it to the
 * dialog. One that is folded away takes no focus, and the dialog would go without.
 */
function firstInput(body: HTMLElement | null): HTMLElement | true {
  const boxes = [...(body?.querySelectorAll<HTMLElement>('input[type="text"]') ?? [])];
  return boxes.find((box) => box.checkVisibility()) ?? body?.querySelector<HTMLElement>("input:checked") ?? true;
}
