/** Opens a checkpoint in the engine. */
import { FolderOpen } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { useDialogRequest } from "../../../state/use-request.ts";
import { useView } from "../../../state/view.ts";
import { FolderPicker } from "./folder-browser.tsx";
import { Recents } from "./recents.tsx";

export function OpenDialog(): ReactNode {
  const client = useClient();
  const droppedName = useView((view) => view.droppedName);
  const [path, setPath] = useState(droppedName ?? "");
  const { busy, error, submit } = useDialogRequest("Open a checkpoint");
  return (
    <Dialog
      title="Open a checkpoint"
      description="A Hugging Face folder: config.json with safetensors of the Llama, Qwen2 or Qwen3 family."
      width="wide"
      error={error}
      onSubmit={() => void submit(() => client.request("open_checkpoint", { path: path.trim() }))}
      actions={
        <Button kind="primary" type="submit" icon={FolderOpen} busy={busy} disabled={path.trim() === "" || busy}>
          Open
        </Button>
      }
    >
      <FolderPicker
        label="Folder on the machine that runs Tideline"
        path={path}
        onPath={setPath}
        {...(droppedName === undefined
          ? {}
          : { hint: "A browser does not tell pages where a dropped folder lies: complete its path here." })}
      />
      <Recents selected={path} onSelect={setPath} />
    </Dialog>
  );
}
