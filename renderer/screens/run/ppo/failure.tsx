/**
 * What stopped the run: the error with who held what, the actions that are missing as one click each, or, when memory ran
 * out, what could be moved away by hand, the largest first.
 */
import { RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import type { TidelineErrorData } from "../../../../core/errors.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { actionsByHand, aftermathOf } from "../../../../core/schedule/by-hand.ts";
import { foresee } from "../../../../core/schedule/check.ts";
import { itemAt } from "../../../../core/schedule/cursor.ts";
import { needsOf } from "../../../../core/schedule/residency.ts";
import { type Action, describeAction } from "../../../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../../../core/schedule/works.ts";
import { formatBytes } from "../../../../core/units.ts";
import { byHandId } from "../../../commands/by-hand-commands.ts";
import { CommandButton } from "../../../components/button.tsx";
import { ErrorBox } from "../../../components/error-words.tsx";
import "./failure.css";

/** What could be freed that is worth a button. */
const MOST_OFFERS = 3;

export function Failure({ run, error }: { readonly run: RunState; readonly error: TidelineErrorData }): ReactNode {
  const { schedule, memory, cursor } = run;
  const missing = foresee(schedule, memory, cursor.index);
  const isMissingHere = missing !== undefined && !missing.inNextStep && missing.item.index === cursor.index;
  const remedies = isMissingHere ? missing.missing : [];
  const offers = error.code === "out_of_memory" ? offersOf(run, error) : [];
  return (
    <section className="failure" aria-label="What stopped the run">
      <ErrorBox error={error} />
      {remedies.length > 0 && (
        <div className="failure-remedies">
          <p>Missing here, in this order:</p>
          {remedies.map((action) => (
            <CommandButton key={byHandId(action)} id={byHandId(action)} label={describeAction(action)} />
          ))}
        </div>
      )}
      {offers.length > 0 && (
        <div className="failure-remedies">
          <p>Could be moved away now:</p>
          {offers.map(({ action, bytes }) => (
            <CommandButton
              key={byHandId(action)}
              id={byHandId(action)}
              label={`${describeAction(action)} · ${formatBytes(bytes)}`}
            />
          ))}
        </div>
      )}
      <CommandButton id="run.retry" kind="primary" icon={RotateCw} />
    </section>
  );
}

interface Offer {
  readonly action: Action;
  readonly bytes: number;
}

/** What holds memory and is not needed by the item that failed; nothing is offered that would lose contents. */
function offersOf({ schedule, memory, cursor }: RunState, error: TidelineErrorData): readonly Offer[] {
  const item = itemAt(schedule, cursor);
  const { reads, scratch } = needsOf(item.work, schedule.roles);
  const isNeeded = (consumer: ScheduledConsumer) => [...reads, ...scratch].includes(consumer);
  return (error.holders ?? [])
    .flatMap(({ consumer: name, bytes }): readonly Offer[] => {
      const consumer = SCHEDULED_CONSUMERS.find((candidate) => candidate === name);
      if (consumer === undefined || isNeeded(consumer)) return [];
      const action = actionsByHand(memory, consumer, schedule.roles).find((candidate) => {
        const frees = candidate.kind === "offload" || candidate.kind === "release";
        const { kind } = aftermathOf(schedule, memory, cursor.index, candidate);
        return frees && (kind === "harmless" || kind === "needed");
      });
      return action === undefined ? [] : [{ action, bytes }];
    })
    .sort((one, other) => other.bytes - one.bytes)
    .slice(0, MOST_OFFERS);
}
