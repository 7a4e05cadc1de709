/**
 * Files dropped anywhere on the window: on the Plan screen a plan or a model's config.json, on the Run screen a checkpoint.
 * The desktop shell knows a dropped folder's path and opens it; a browser hides paths from pages, so there the opener says
 * so and starts with the folder's name.
 */
import { FolderDown } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { toErrorData } from "../../core/errors.ts";
import { useClient } from "../commands/use-commands.tsx";
import { openDropped } from "../screens/plan/open-dropped.ts";
import { notifyError } from "../state/notices.ts";
import { usePreferences } from "../state/preferences.ts";
import { openDialog } from "../state/view.ts";
import "./drop-target.css";

export function DropTarget(): ReactNode {
  const client = useClient();
  const screen = usePreferences((preferences) => preferences.screen);
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
      if (usePreferences.getState().screen === "plan") {
        void openDropped(file);
        return;
      }
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
        {screen === "run" ? "Drop a checkpoint folder to open it" : "Drop a plan, or a model's config.json"}
      </div>
    </div>
  );
}
