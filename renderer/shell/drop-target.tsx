/**
 * Checkpoints dropped anywhere on the window. The desktop shell knows the dropped folder's path and opens it; a browser
 * hides paths from pages, so there the opener says so and starts with the folder's name.
 */
import { FolderDown } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { toErrorData } from "../../core/errors.ts";
import { useClient } from "../commands/use-commands.tsx";
import { notifyError } from "../state/notices.ts";
import { openDialog } from "../state/view.ts";
import "./drop-target.css";

export function DropTarget(): ReactNode {
  const client = useClient();
  const [over, setOver] = useState(false);

  useEffect(() => {
    const onDragOver = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      // Leaving the window, not one element for another.
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file === undefined) return;
      const path = client.door.pathOf?.(file);
      if (path === undefined || path === "") {
        openDialog("open_checkpoint", file.name);
        return;
      }
      client
        .request("open_checkpoint", { path })
        .catch((error: unknown) => notifyError(`Open ${path}`, toErrorData(error)));
    };
    window.addEventListener("dragover", onDragOver);
    window.addEventListener("dragleave", onDragLeave);
    window.addEventListener("drop", onDrop);
    return () => {
      window.removeEventListener("dragover", onDragOver);
      window.removeEventListener("dragleave", onDragLeave);
      window.removeEventListener("drop", onDrop);
    };
  }, [client]);

  if (!over) return undefined;
  return (
    <div className="drop-target" aria-hidden>
      <div className="drop-target-words">
        <FolderDown size={24} />
        Drop a checkpoint folder to open it
      </div>
    </div>
  );
}
