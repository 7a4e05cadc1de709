/** The device the engine runs on, how much of it regions may use, how large the KV cache is, how often it is sampled. */
import { type ReactNode, useState } from "react";
import type { CommandInput } from "../../../../core/contract/commands.ts";
import type { DeviceChoice, DeviceState, SessionState } from "../../../../core/contract/state.ts";
import { formatBytes, parseBytes } from "../../../../core/units.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { type Choice, ChoiceList, NumberField, TextField } from "../../../components/field.tsx";
import { useSession } from "../../../state/session.ts";
import { useDialogRequest } from "../../../state/use-request.ts";

export function DeviceDialog(): ReactNode {
  const session = useSession((store) => store.session);
  return session === undefined ? undefined : <DeviceForm session={session} />;
}

interface Draft {
  readonly device: string;
  readonly capacity: string;
  readonly kvCache: string;
  readonly samplingHertz: number;
}

function DeviceForm({ session }: { readonly session: SessionState }): ReactNode {
  const client = useClient();
  const [before] = useState(() => draftOf(session));
  const [draft, setDraft] = useState(before);
  const { busy, error, submit } = useDialogRequest("Device, capacity and KV cache");
  const edit = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const capacityProblem = sizeProblem(draft.capacity);
  const kvCacheProblem = sizeProblem(draft.kvCache);
  const rateProblem =
    draft.samplingHertz >= 10 && draft.samplingHertz <= 1000 ? undefined : "10 to 1000 samples a second";
  const valid = capacityProblem === undefined && kvCacheProblem === undefined && rateProblem === undefined;
  return (
    <Dialog
      title="Device, capacity and KV cache"
      description="Another device, capacity or cache size closes the engine and loads the checkpoint again."
      error={error}
      onSubmit={() => valid && void submit(() => client.request("configure", changesOf(before, draft, session.device)))}
      actions={
        <Button kind="primary" type="submit" busy={busy} disabled={!valid || busy}>
          Apply
        </Button>
      }
    >
      <ChoiceList
        legend="Device"
        value={draft.device}
        choices={session.devices.map((device) => deviceChoice(device, session.device))}
        onValue={(device) => edit({ device })}
      />
      <TextField
        label="Capacity for regions"
        className="figures"
        value={draft.capacity}
        problem={capacityProblem}
        hint="A size such as 512 MiB or 2 GiB. Committing beyond it fails, as on a full GPU."
        onChange={({ target }) => edit({ capacity: target.value })}
      />
      <TextField
        label="KV cache"
        className="figures"
        value={draft.kvCache}
        problem={kvCacheProblem}
        hint="Reserved once; its physical memory is what release and resume move."
        onChange={({ target }) => edit({ kvCache: target.value })}
      />
      <NumberField
        label="Samples a second"
        value={draft.samplingHertz}
        min={10}
        max={1000}
        problem={rateProblem}
        onValue={(samplingHertz) => edit({ samplingHertz })}
      />
    </Dialog>
  );
}

function draftOf(session: SessionState): Draft {
  const kvCache = session.consumers.find(({ consumer }) => consumer === "engine.kv_cache");
  return {
    device: session.device.name,
    capacity: sizeText(session.device.capacityBytes),
    kvCache: sizeText(kvCache?.reservedBytes ?? 0),
    samplingHertz: session.samplingHertz,
  };
}

/** A size that reads back to exactly the same bytes. */
function sizeText(bytes: number): string {
  const text = formatBytes(bytes);
  return parseBytes(text) === bytes ? text : String(bytes);
}

/**
 * Only what was changed: the session keeps the rest, and a new rate alone does not reload anything. A lost device is
 * chosen anew by staying with it.
 */
function changesOf(before: Draft, draft: Draft, current: DeviceState): CommandInput<"configure"> {
  return {
    ...(draft.device === before.device && current.lost === undefined ? {} : { device: draft.device }),
    ...(draft.capacity === before.capacity ? {} : { capacityBytes: parseBytes(draft.capacity) }),
    ...(draft.kvCache === before.kvCache ? {} : { kvCacheBytes: parseBytes(draft.kvCache) }),
    ...(draft.samplingHertz === before.samplingHertz ? {} : { samplingHertz: draft.samplingHertz }),
  };
}

function sizeProblem(text: string): string | undefined {
  try {
    parseBytes(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function deviceChoice(device: DeviceChoice, current: DeviceState): Choice<string> {
  const lost = device.name === current.name && current.lost !== undefined;
  return {
    value: device.name,
    label: `${device.name} · ${device.description}`,
    more: lost
      ? "lost: Apply opens it again"
      : (device.problem ?? `${formatBytes(device.freeBytes)} free of ${formatBytes(device.totalBytes)}`),
    disabled: device.problem !== undefined,
  };
}
