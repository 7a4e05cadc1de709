/** Lends weights to other processes: at which socket they ask for them. */
import { Share2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { TextField } from "../../../components/field.tsx";
import { useSession } from "../../../state/session.ts";
import { useDialogRequest } from "../../../state/use-request.ts";
import { useView } from "../../../state/view.ts";
import "./lend-dialog.css";

export function LendDialog(): ReactNode {
  const consumer = useView((view) => view.consumer);
  const folder = useSession((store) => store.session?.socketsFolder);
  if (consumer === undefined || folder === undefined) return undefined;
  return <LendForm consumer={consumer} proposed={`${folder}/${consumer}.sock`} />;
}

function LendForm({ consumer, proposed }: { readonly consumer: string; readonly proposed: string }): ReactNode {
  const client = useClient();
  const [path, setPath] = useState(proposed);
  const { busy, error, submit } = useDialogRequest(`Lend ${consumer}`);
  const socket = path.trim();
  return (
    <Dialog
      title={`Lend ${consumer} to another process`}
      description="It maps the same bytes of the same GPU, with no copy. It sees every load and swap, and the engine sees what it writes."
      width="wide"
      error={error}
      onSubmit={() => socket !== "" && void submit(() => client.request("lend", { consumer, path: socket }))}
      actions={
        <Button kind="primary" type="submit" icon={Share2} busy={busy} disabled={socket === "" || busy}>
          Lend
        </Button>
      }
    >
      <TextField
        label="Socket to make, on the machine that runs Tideline"
        className="mono"
        value={path}
        onChange={({ target }) => setPath(target.value)}
        hint="In a folder of your own. Only your processes can connect."
      />
      <div className="lend-example">
        <p className="field-hint">
          In the other process, with <code>assets/examples/shared_weights.py</code>:
        </p>
        <pre className="mono">{`with SharedRegion("${socket}") as region:\n    weights = region.tensors()`}</pre>
      </div>
      <p className="field-hint">
        Pause the engine before that process writes. While a process has these weights mapped they cannot be released or
        closed.
      </p>
    </Dialog>
  );
}
