/** Replaces the engine's weights while its addresses stay: from a folder, or from a model in memory. */
import { Replace } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { Role } from "../../../../core/consumers.ts";
import type { SwapSource } from "../../../../core/contract/commands.ts";
import type { ModelState } from "../../../../core/contract/state.ts";
import type { RunningPolicy, SwapMethod } from "../../../../core/contract/vocabulary.ts";
import { type Loan, mappedBy } from "../../../../core/loan.ts";
import { formatBytes } from "../../../../core/units.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { type Choice, ChoiceList, Segmented, TextField } from "../../../components/field.tsx";
import { useSession } from "../../../state/session.ts";
import { useDialogRequest } from "../../../state/use-request.ts";
import { FolderPicker } from "./folder-browser.tsx";
import { Recents } from "./recents.tsx";

type From = SwapSource["kind"];

const METHODS: readonly Choice<SwapMethod>[] = [
  { value: "auto", label: "Automatic", more: "shares where both layouts agree, else copies" },
  {
    value: "share",
    label: "Share",
    more: "the engine reads the model's own bytes: nothing is copied, its own region is freed",
  },
  { value: "copy", label: "Copy", more: "one copy on the device: both keep their memory" },
  {
    value: "bucketed",
    label: "Bucketed copy",
    more: "as a broadcast does it: bucket by bucket, through a buffer that takes memory meanwhile",
  },
];

const POLICIES: readonly Choice<RunningPolicy>[] = [
  { value: "refuse", label: "Refuse", more: "do not swap while a generation runs" },
  { value: "finish", label: "Let them finish", more: "on the weights they began with, then swap" },
  { value: "cancel", label: "Cancel them", more: "they keep the tokens they have" },
];

export function SwapDialog(): ReactNode {
  const client = useClient();
  const models = useSession((store) => store.session?.models) ?? [];
  const consumers = useSession((store) => store.session?.consumers) ?? [];
  const loan = consumers.find(({ consumer }) => consumer === "engine.weights")?.loan;
  const deviceName = useSession((store) => store.session?.device.name);
  const [from, setFrom] = useState<From>(models.length > 0 ? "model" : "checkpoint");
  const [path, setPath] = useState("");
  const [file, setFile] = useState("");
  const [chosenRole, setRole] = useState<Role>();
  const [method, setMethod] = useState<SwapMethod>("auto");
  const [running, setRunning] = useState<RunningPolicy>("refuse");
  const { busy, error, submit } = useDialogRequest("Swap the engine's weights");

  const role = models.find((model) => model.role === chosenRole)?.role ?? models[0]?.role;
  const onHost = deviceName === "host";
  const sources: Readonly<Record<From, SwapSource | undefined>> = {
    checkpoint: path.trim() === "" ? undefined : { kind: "checkpoint", path: path.trim() },
    model: role === undefined ? undefined : { kind: "model", role },
    process: file.trim() === "" || onHost ? undefined : { kind: "process", path: file.trim() },
  };
  const source = sources[from];
  return (
    <Dialog
      title="Swap the engine's weights"
      description="The new weights need the shapes of the present ones; anything else changes nothing."
      width="wide"
      error={error}
      onSubmit={() =>
        source &&
        void submit(() => client.request("swap", { source, method: from === "model" ? method : "auto", running }))
      }
      actions={
        <Button kind="primary" type="submit" icon={Replace} busy={busy} disabled={source === undefined || busy}>
          Swap
        </Button>
      }
    >
      <Segmented
        legend="From"
        value={from}
        choices={[
          { value: "checkpoint", label: "Folder on disk" },
          { value: "model", label: "Model in memory", disabled: models.length === 0 },
          { value: "process", label: "Another process" },
        ]}
        onValue={setFrom}
      />
      {from === "checkpoint" && (
        <>
          <FolderPicker label="Folder on the machine that runs Tideline" path={path} onPath={setPath} />
          <Recents selected={path} onSelect={setPath} />
        </>
      )}
      {from === "model" && (
        <>
          {role && <ChoiceList legend="Model" value={role} choices={models.map(modelChoice)} onValue={setRole} />}
          <ChoiceList legend="Method" columns={2} value={method} choices={methodsWith(loan)} onValue={setMethod} />
        </>
      )}
      {from === "process" && (
        <TextField
          label="File that the trainer wrote, on the machine that runs Tideline"
          className="mono"
          value={file}
          placeholder="/path/to/weights.json"
          problem={
            onHost
              ? "The engine is on the host: only weights on the same GPU can be copied. Choose a GPU first."
              : undefined
          }
          onChange={({ target }) => setFile(target.value)}
          hint="hand_over of assets/examples/hand_over_weights.py writes one. The trainer keeps its weights as they are until the swap is done: one copy on the GPU."
        />
      )}
      <ChoiceList
        legend="If requests are running"
        columns={3}
        value={running}
        choices={POLICIES}
        onValue={setRunning}
      />
    </Dialog>
  );
}

/** What is lent stays what the engine reads: it is written into, and not given up for another model's bytes. */
function methodsWith(loan: Loan | undefined): readonly Choice<SwapMethod>[] {
  if (loan === undefined) return METHODS;
  return METHODS.map((method) => {
    if (method.value === "auto") return { ...method, more: "copies, because engine.weights is lent" };
    if (method.value !== "share") return method;
    return loan.borrowers === 0
      ? { ...method, more: `${method.more}; ends the loan of engine.weights` }
      : { ...method, more: `not while engine.weights is ${mappedBy(loan)}`, disabled: true };
  });
}

function modelChoice({ role, consumer, checkpoint }: ModelState): Choice<Role> {
  return {
    value: role,
    label: consumer,
    more: `${checkpoint.name}, ${checkpoint.dtype}, ${formatBytes(checkpoint.weightBytes)}`,
  };
}
