/**
 * What stopped the run, and the clicks that get it going again: the actions that are missing, or, when memory ran out, what
 * moves each holder away.
 */
import { RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import type { TidelineErrorData } from "../../../../core/errors.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { actionsByHand, aftermathOf } from "../../../../core/schedule/by-hand.ts";
import { foresee } from "../../../../core/schedule/check.ts";
import { itemAt } from "../../../../core/schedule/cursor.ts";
import { needsOf } from "../../../../core/schedule/residency.ts";
import { describeAction, type Item } from "../../../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS } from "../../../../core/schedule/works.ts";
import { byHandId } from "../../../commands/by-hand-commands.ts";
import { CommandButton } from "../../../components/button.tsx";
import { capitalised } from "../../../components/capitalised.ts";
import { HolderList } from "../../../components/holder-list.tsx";
import { Words } from "../../../components/words.tsx";
import "./failure.css";

export function Failure({ run, error }: { readonly run: RunState; readonly error: TidelineErrorData }): ReactNode {
  const { schedule, memory, cursor } = run;
  const item = itemAt(schedule, cursor);
  const foreseen = foresee(schedule, memory, cursor.index);
  const isMissingHere = foreseen !== undefined && !foreseen.inNextStep && foreseen.item.index === cursor.index;
  const missing = isMissingHere ? foreseen.missing : [];
  const { holders } = error;
  return (
    <section className="failure" role="alert" aria-label="What stopped the run">
      <p className="failure-message">
        <Words text={error.message} />
      </p>
      {/* The hint of an out of memory lists the holders, which follow with a button each. */}
      {holders === undefined ? (
        error.hint && (
          <p className="failure-hint">
            <Words text={capitalised(error.hint)} />
          </p>
        )
      ) : (
        <HolderList
          holders={holders}
          capacityBytes={error.capacityBytes}
          wayOut={(consumer) => <WayOut run={run} item={item} consumer={consumer} />}
        />
      )}
      <div className="failure-remedies">
        {missing.map((action) => (
          <CommandButton key={byHandId(action)} id={byHandId(action)} label={describeAction(action)} />
        ))}
        <CommandButton id="run.retry" kind="primary" icon={RotateCw} label={`Retry ${item.work}`} />
      </div>
    </section>
  );
}

/** The gentlest action that frees a holder's memory now without losing anything. */
function WayOut(props: { readonly run: RunState; readonly item: Item; readonly consumer: string }): ReactNode {
  const { schedule, memory, cursor } = props.run;
  const consumer = SCHEDULED_CONSUMERS.find((candidate) => candidate === props.consumer);
  if (consumer === undefined) return undefined;
  const { reads, scratch } = needsOf(props.item.work, schedule.roles);
  if ([...reads, ...scratch].includes(consumer)) return <span className="failure-needed">needed</span>;
  if (memory[consumer].residency !== "resident") return <span className="failure-needed">moved away</span>;
  const action = actionsByHand(memory, consumer, schedule.roles).find((candidate) => {
    const frees = candidate.kind === "offload" || candidate.kind === "release";
    const { kind } = aftermathOf(schedule, memory, cursor.index, candidate);
    return frees && (kind === "harmless" || kind === "needed");
  });
  return action && <CommandButton id={byHandId(action)} label={action.kind === "offload" ? "Offload" : "Release"} />;
}
