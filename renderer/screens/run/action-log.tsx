/** Everything that was done to memory, newest first; choosing one puts the timeline's cursors around it. */
import { CircleAlert } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { Button } from "../../components/button.tsx";
import { ErrorBox } from "../../components/error-words.tsx";
import { useActivity } from "../../state/activity.ts";
import { clockWords } from "./figures.ts";
import { showAction } from "./live-view.ts";
import { outcomeWords } from "./receipt-words.ts";
import "./action-log.css";

/** Rows drawn at first; older ones on request. */
const FIRST_ROWS = 60;

export function ActionLog(): ReactNode {
  const count = useActivity((store) => store.actions.length);
  return (
    <section className="panel action-log" aria-labelledby="actions-title">
      <header className="panel-header">
        <h2 className="panel-title" id="actions-title">
          Actions
        </h2>
        {count > 0 && <span className="action-count figures">{count}</span>}
      </header>
      <ActionRows />
    </section>
  );
}

export function ActionRows(): ReactNode {
  const actions = useActivity((store) => store.actions);
  const [rows, setRows] = useState(FIRST_ROWS);
  if (actions.length === 0) {
    return <p className="panel-empty">Releases, resumes and swaps are listed here, with what they freed and cost.</p>;
  }
  return (
    <ol className="action-rows">
      {actions
        .slice(-rows)
        .toReversed()
        .map((action) => (
          <ActionRow key={action.id} action={action} />
        ))}
      {actions.length > rows && (
        <li>
          <Button kind="quiet" onClick={() => setRows(rows + FIRST_ROWS)}>
            Show older
          </Button>
        </li>
      )}
    </ol>
  );
}

function ActionRow({ action }: { readonly action: ActionRecord }): ReactNode {
  const [open, setOpen] = useState(false);
  const failed = action.error !== undefined;
  return (
    <li>
      <button
        type="button"
        className="action-row"
        data-failed={failed || undefined}
        aria-expanded={failed ? open : undefined}
        title="Show on the timeline"
        onClick={() => {
          showAction(action);
          if (failed) setOpen(!open);
        }}
      >
        <span className="action-label">
          {failed && <CircleAlert aria-label="failed" size={13} />}
          <span>{action.label}</span>
        </span>
        <span className="action-time figures">
          <time dateTime={new Date(action.timeSeconds * 1000).toISOString()}>{clockWords(action.timeSeconds)}</time>
        </span>
        <span className="action-outcome figures">{outcomeWords(action)}</span>
      </button>
      {open && action.error && (
        <div className="action-error">
          <ErrorBox error={action.error} />
        </div>
      )}
    </li>
  );
}
