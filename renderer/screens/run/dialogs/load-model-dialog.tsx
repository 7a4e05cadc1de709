/** Loads a second model onto the device, as a source to swap from. */
import { Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import { ROLES, type Role } from "../../../../core/consumers.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { Segmented } from "../../../components/field.tsx";
import { useSession } from "../../../state/session.ts";
import { useDialogRequest } from "../../../state/use-request.ts";
import { FolderPicker } from "./folder-browser.tsx";
import { Recents } from "./recents.tsx";

export function LoadModelDialog(): ReactNode {
  const client = useClient();
  const models = useSession((store) => store.session?.models) ?? [];
  const taken = new Set(models.map(({ role }) => role));
  const [role, setRole] = useState<Role>(ROLES.find((candidate) => !taken.has(candidate)) ?? "policy");
  const [path, setPath] = useState("");
  const { busy, error, submit } = useDialogRequest("Load a second model");
  return (
    <Dialog
      title="Load a second model"
      description="It sits on the device beside the engine, which can then share or copy its weights."
      width="wide"
      error={error}
      onSubmit={() => void submit(() => client.request("load_model", { path: path.trim(), role }))}
      actions={
        <Button kind="primary" type="submit" icon={Plus} busy={busy} disabled={path.trim() === "" || busy}>
          Load
        </Button>
      }
    >
      <Segmented
        legend="Role"
        value={role}
        choices={ROLES.map((candidate) => ({
          value: candidate,
          label: candidate,
          disabled: taken.has(candidate),
        }))}
        onValue={setRole}
      />
      <FolderPicker label="Folder on the machine that runs Tideline" path={path} onPath={setPath} />
      <Recents selected={path} onSelect={setPath} />
    </Dialog>
  );
}
