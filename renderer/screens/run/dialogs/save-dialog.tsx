/** Writes the engine's weights as a Hugging Face folder. */
import { Save } from "lucide-react";
import { type ReactNode, useState } from "react";
import { formatBytes } from "../../../../core/units.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { notify } from "../../../state/notices.ts";
import { useDialogRequest } from "../../../state/use-request.ts";
import { FolderPicker } from "./folder-browser.tsx";

export function SaveDialog(): ReactNode {
  const client = useClient();
  const [path, setPath] = useState("");
  const { busy, error, submit } = useDialogRequest("Save as a Hugging Face folder");
  const save = async () => {
    const saved = await client.request("save_checkpoint", { path: path.trim() });
    notify(`Wrote ${formatBytes(saved.bytes)} to ${saved.path}`);
  };
  return (
    <Dialog
      title="Save as a Hugging Face folder"
      description="The weights that the engine uses now, with their config.json and tokenizer."
      width="wide"
      error={error}
      onSubmit={() => void submit(save)}
      actions={
        <Button kind="primary" type="submit" icon={Save} busy={busy} disabled={path.trim() === "" || busy}>
          Save
        </Button>
      }
    >
      <FolderPicker
        label="New folder on the machine that runs Tideline"
        path={path}
        onPath={setPath}
        hint="It is made when it does not exist."
      />
    </Dialog>
  );
}
