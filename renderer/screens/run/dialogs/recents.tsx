/** Checkpoints used before, newest first; those whose folder is gone say so and can be forgotten. */
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { toErrorData } from "../../../../core/errors.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { notifyError } from "../../../state/notices.ts";
import { useSession } from "../../../state/session.ts";
import { countWords } from "../figures.ts";
import "./recents.css";

interface RecentsProps {
  readonly selected: string;
  readonly onSelect: (path: string) => void;
}

export function Recents({ selected, onSelect }: RecentsProps): ReactNode {
  const client = useClient();
  const session = useSession((store) => store.session);
  const demo = session?.demoCheckpoint;
  const recents = session?.recents ?? [];
  const forget = (path: string) =>
    client
      .request("forget_recent", { path })
      .catch((error: unknown) => notifyError("Forget a recent checkpoint", toErrorData(error)));
  if (recents.length === 0 && demo === undefined) return undefined;
  return (
    <section className="recents" aria-label="Recent checkpoints">
      <h3>Recent</h3>
      <ul>
        {demo !== undefined && !recents.some(({ path }) => path === demo) && (
          <li>
            <RecentRow name="Demo checkpoint" path={demo} selected={selected === demo} onSelect={onSelect} />
          </li>
        )}
        {recents.map((recent) => (
          <li key={recent.path}>
            <RecentRow
              name={recent.name}
              path={recent.path}
              parameters={recent.parameters}
              gone={!recent.available}
              selected={selected === recent.path}
              onSelect={onSelect}
            />
            <Button
              kind="quiet"
              icon={X}
              className="button-icon"
              aria-label={`Forget ${recent.name}`}
              onClick={() => void forget(recent.path)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

function RecentRow(props: {
  readonly name: string;
  readonly path: string;
  readonly parameters?: number | undefined;
  readonly gone?: boolean;
  readonly selected: boolean;
  readonly onSelect: (path: string) => void;
}): ReactNode {
  return (
    <button
      type="button"
      className="recent-row"
      aria-pressed={props.selected}
      disabled={props.gone}
      onClick={() => props.onSelect(props.path)}
    >
      <span className="recent-name">
        {props.name}
        {props.parameters !== undefined && <span className="recent-more"> {countWords(props.parameters)} params</span>}
        {props.gone && <span className="recent-gone"> folder is gone</span>}
      </span>
      <span className="recent-path mono">{props.path}</span>
    </button>
  );
}
