/**
 * Choosing a folder on the session's machine: a path box always, the operating system's dialog where there is one, else
 * a list of folders that the session reads (the browser may be on another machine).
 */
import { ArrowUp, Boxes, Folder } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import type { CommandAnswer } from "../../../../core/contract/commands.ts";
import { type TidelineErrorData, toErrorData } from "../../../../core/errors.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { ErrorBox } from "../../../components/error-words.tsx";
import { TextField } from "../../../components/field.tsx";
import "./folder-browser.css";

interface FolderPickerProps {
  readonly label: string;
  readonly path: string;
  readonly onPath: (path: string) => void;
  readonly hint?: string;
  /** What an empty path means. */
  readonly placeholder?: string;
}

export function FolderPicker(props: FolderPickerProps): ReactNode {
  const { label, path, onPath, hint, placeholder = "/path/to/checkpoint" } = props;
  const { door } = useClient();
  const [browsing, setBrowsing] = useState(false);
  const pick = async () => {
    if (door.pickFolder === undefined) {
      setBrowsing(!browsing);
      return;
    }
    const chosen = await door.pickFolder();
    if (chosen !== undefined) onPath(chosen);
  };
  return (
    <div className="folder-picker">
      <div className="folder-picker-box">
        <TextField
          label={label}
          className="mono"
          value={path}
          placeholder={placeholder}
          onChange={({ target }) => onPath(target.value)}
          hint={hint}
        />
        <Button icon={Folder} onClick={() => void pick()} aria-expanded={door.pickFolder ? undefined : browsing}>
          {door.pickFolder ? "Choose…" : browsing ? "Hide folders" : "Browse"}
        </Button>
      </div>
      {browsing && <FolderList start={path} onPath={onPath} />}
    </div>
  );
}

type Listing = CommandAnswer<"list_folder">;

function FolderList({ start, onPath }: { readonly start: string; readonly onPath: (path: string) => void }): ReactNode {
  const client = useClient();
  const [asked, setAsked] = useState(start.startsWith("/") ? start : "");
  const [listing, setListing] = useState<Listing>();
  const [error, setError] = useState<TidelineErrorData>();

  useEffect(() => {
    let current = true;
    client.request("list_folder", { path: asked }).then(
      (answer) => {
        if (!current) return;
        setListing(answer);
        setError(undefined);
      },
      (thrown: unknown) => current && setError(toErrorData(thrown)),
    );
    return () => {
      current = false;
    };
  }, [client, asked]);

  return (
    <div className="folder-list">
      <div className="folder-list-head">
        <Button
          kind="quiet"
          icon={ArrowUp}
          className="button-icon"
          aria-label="Parent folder"
          disabled={listing?.parent === undefined}
          onClick={() => listing?.parent !== undefined && setAsked(listing.parent)}
        />
        <span className="mono folder-list-path" title={listing?.path}>
          {listing?.path ?? "…"}
        </span>
      </div>
      {error && <ErrorBox error={error} />}
      <ul>
        {listing?.folders.map((folder) => (
          <li key={folder.path}>
            <button
              type="button"
              className="folder-row"
              data-checkpoint={folder.isCheckpoint || undefined}
              onClick={() => (folder.isCheckpoint ? onPath(folder.path) : setAsked(folder.path))}
            >
              {folder.isCheckpoint ? <Boxes aria-hidden size={14} /> : <Folder aria-hidden size={14} />}
              <span>{folder.name}</span>
              {folder.isCheckpoint && <span className="folder-kind">checkpoint</span>}
            </button>
          </li>
        ))}
        {listing?.folders.length === 0 && <li className="folder-none">No folders here.</li>}
      </ul>
    </div>
  );
}
