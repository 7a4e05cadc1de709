/** On which devices engine and roles lie, and what each may hold: only where there are several to choose from. */
import type { ReactNode } from "react";
import type { DeviceChoice } from "../../../../../core/contract/state.ts";
import { PLACED, type Placed } from "../../../../../core/run/placement.ts";
import type { WorkloadSummary } from "../../../../../core/run/state.ts";
import { formatBytes } from "../../../../../core/units.ts";
import { SelectField, TextField } from "../../../../components/field.tsx";
import { deviceCapacityProblem, editRun, placementOf, type RunDraft } from "../../../../state/run-draft.ts";
import { useSession } from "../../../../state/session.ts";

const LABELS: Readonly<Record<Placed, string>> = {
  engine: "Engine",
  policy: "Policy",
  critic: "Critic",
  reference: "Reference",
  reward: "Reward model",
};

export function PlacementForm(props: { readonly draft: RunDraft; readonly workload: WorkloadSummary }): ReactNode {
  const { draft, workload } = props;
  const session = useSession((store) => store.session);
  const usable = session?.devices.filter(({ problem }) => problem === undefined) ?? [];
  if (session === undefined || usable.length < 2) return undefined;
  const own = session.device.name;
  const placement = placementOf(draft, workload);
  const placed = PLACED.filter((name) => name !== "reward" || workload.roles.reward !== "rule");
  const used = [...new Set(placed.map((name) => placement[name] ?? own))];
  return (
    <details className="placement-form" open={used.length > 1}>
      <summary>Devices</summary>
      <p>A role takes its training along. Weights are copied between devices, and cannot be shared.</p>
      <div className="placement-fields">
        {placed.map((name) => (
          <SelectField
            key={name}
            label={`${LABELS[name]} on`}
            value={placement[name] ?? own}
            choices={usable.map((device) => choiceOf(device))}
            onValue={(device) => editRun({ placement: { ...draft.placement, [name]: device } })}
          />
        ))}
      </div>
      {used.length > 1 && (
        <div className="placement-fields">
          {used.map((device) => (
            <TextField
              key={device}
              label={`Capacity of ${device}`}
              className="figures"
              placeholder={draft.capacity ?? formatBytes(workload.capacityBytes)}
              value={draft.deviceCapacities[device] ?? ""}
              problem={deviceCapacityProblem(draft, device)}
              onChange={({ target }) =>
                editRun({ deviceCapacities: { ...draft.deviceCapacities, [device]: target.value } })
              }
            />
          ))}
        </div>
      )}
    </details>
  );
}

function choiceOf({ name, description }: DeviceChoice) {
  return { value: name, label: name, title: description };
}
