/**
 * Who is where, in which phase: every consumer's residency as the schedule has it, and where it is now, with a mark where
 * that is otherwise than planned and what can be done about it by hand. Words and edges say it; the consumer's colour only helps.
 */
import { Ellipsis, Hand } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import type { SessionState } from "../../../../core/contract/state.ts";
import { departuresOf } from "../../../../core/run/departures.ts";
import { holdsConsumer } from "../../../../core/run/placement.ts";
import { type PhaseRecord, peakOn } from "../../../../core/run/records.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { actionsByHand } from "../../../../core/schedule/by-hand.ts";
import { checkSchedule, residencyMatrix } from "../../../../core/schedule/check.ts";
import { itemAt } from "../../../../core/schedule/cursor.ts";
import { type ConsumerMemory, consumersWith } from "../../../../core/schedule/residency.ts";
import type { ScheduledConsumer } from "../../../../core/schedule/works.ts";
import { formatBytes } from "../../../../core/units.ts";
import { byHandId } from "../../../commands/by-hand-commands.ts";
import { useCommands } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { CommandMenu } from "../../../components/menu.tsx";
import { ResidencyTableCell } from "../../../components/residency-cell.tsx";
import { useRun } from "../../../state/run.ts";
import { useSession } from "../../../state/session.ts";
import { Swatch } from "../../../timeline/swatch.tsx";
import { WORK_WORDS } from "./run-words.ts";
import "./memory-matrix.css";

export function MemoryMatrix({ run }: { readonly run: RunState }): ReactNode {
  const { schedule, cursor } = run;
  const check = useMemo(() => checkSchedule(schedule), [schedule]);
  const rows = useMemo(() => (check.ok ? residencyMatrix(schedule, check.moments) : []), [schedule, check]);
  const departures = check.ok ? departuresOf(check, run) : undefined;
  const currentPhase = itemAt(schedule, cursor).phase;
  const consumers = consumersWith(schedule.roles);
  return (
    <div className="matrix-scroll">
      <table className="matrix figures">
        <thead>
          <tr>
            <th scope="col">Consumer</th>
            <th scope="col" colSpan={2}>
              Now
            </th>
            {rows.map(({ phase, work }) => (
              <th
                scope="col"
                key={phase}
                data-current={phase === currentPhase || undefined}
                aria-current={phase === currentPhase ? "step" : undefined}
                title={WORK_WORDS[work]}
              >
                {work.replace("_", " ")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {consumers.map((consumer) => (
            <tr key={consumer}>
              <th scope="row" title={whereOf(consumer, run)?.join(" and ")}>
                <Swatch consumer={consumer} />
                {consumer}
                <Where names={whereOf(consumer, run)} />
              </th>
              <Now consumer={consumer} run={run} planned={departures?.get(consumer)} />
              {rows.map(({ phase, cells }) => (
                <ResidencyTableCell
                  key={phase}
                  consumer={consumer}
                  cell={cells[consumer]}
                  isCurrent={phase === currentPhase}
                />
              ))}
            </tr>
          ))}
        </tbody>
        <Peaks run={run} phases={rows.map(({ phase, work }) => ({ phase, work }))} currentPhase={currentPhase} />
      </table>
    </div>
  );
}

/** Of several devices those that it lies on. */
function whereOf(consumer: ScheduledConsumer, { devices }: RunState): readonly string[] | undefined {
  if (devices.length < 2) return undefined;
  return devices.filter((device) => holdsConsumer(device, consumer)).map(({ name }) => name);
}

function Where({ names }: { readonly names: readonly string[] | undefined }): ReactNode {
  if (names === undefined) return undefined;
  return <span className="matrix-device">{names.length === 1 ? names[0] : `${names.length} devices`}</span>;
}

/** On all devices. */
function committedBytesOf({ consumers, otherDevices }: SessionState, name: ScheduledConsumer): number {
  return [consumers, ...otherDevices.map((other) => other.consumers)]
    .flat()
    .reduce((sum, { consumer, committedBytes }) => sum + (consumer === name ? committedBytes : 0), 0);
}

function Now(props: {
  readonly consumer: ScheduledConsumer;
  readonly run: RunState;
  /** How the schedule would have it here, where that is otherwise. */
  readonly planned: ConsumerMemory | undefined;
}): ReactNode {
  const { consumer, run, planned } = props;
  const committedBytes = useSession(({ session }) => (session === undefined ? 0 : committedBytesOf(session, consumer)));
  const memory = run.memory[consumer];
  // What the loop keeps resident is taken at its first use.
  const isTaken = memory.residency !== "resident" || committedBytes > 0;
  const words = nowWords(memory);
  const departure = planned && `by hand: the schedule has it ${nowWords(planned).text} here`;
  return (
    <>
      {isTaken ? (
        <td
          className="matrix-now"
          data-residency={memory.residency}
          title={departure === undefined ? words.title : `${words.title}; ${departure}`}
        >
          <span className="matrix-now-words">{words.text}</span>
          <span className="matrix-now-mark">
            {departure && (
              <>
                <Hand aria-hidden size={12} />
                <span className="visually-hidden">{departure}</span>
              </>
            )}
          </span>
          <span className="matrix-now-bytes">{committedBytes === 0 ? "—" : formatBytes(committedBytes)}</span>
        </td>
      ) : (
        <td className="matrix-now" title="its memory is taken at its first use">
          not taken yet
        </td>
      )}
      <td className="matrix-act">
        {isGoing(run) ? (
          // No menus of what cannot be done, made anew with every item.
          <Button
            kind="quiet"
            icon={Ellipsis}
            disabled
            aria-label={`Act on ${consumer}`}
            title="the run goes on: pause it first"
          />
        ) : (
          <ByHandMenu consumer={consumer} run={run} />
        )}
      </td>
    </>
  );
}

function isGoing({ cursor: { run } }: RunState): boolean {
  return run.status === "running" || run.status === "cancelling";
}

function ByHandMenu({ consumer, run }: { readonly consumer: ScheduledConsumer; readonly run: RunState }): ReactNode {
  const commands = useCommands();
  const ids = actionsByHand(run.memory, consumer, run.schedule.roles).map(byHandId);
  return (
    <CommandMenu
      label=""
      description={`Act on ${consumer}`}
      icon={Ellipsis}
      kind="quiet"
      commands={ids.flatMap((id) => commands.find((command) => command.id === id) ?? [])}
      heading={`${consumer}, by hand`}
    />
  );
}

function nowWords({ residency, contents, backup }: ConsumerMemory): { readonly text: string; readonly title: string } {
  const kept = backup === undefined ? "" : `; copy on ${backup.where}, ${backup.clean ? "current" : "out of date"}`;
  switch (residency) {
    case "resident":
      return contents === "stale"
        ? { text: "stale", title: `on the device, from before the last update${kept}` }
        : { text: "resident", title: `on the device, contents ${contents}${kept}` };
    case "shared":
      return { text: "shared", title: "reads the policy's bytes" };
    case "released":
      return { text: "released", title: "given back, nothing is kept" };
    case "host":
    case "disk":
      return {
        text: `on ${residency}`,
        title: `contents on ${residency}${contents === "stale" ? ", from before the last update" : ""}`,
      };
  }
}

/** What each phase took at most the last time: where the step's peak is. */
function Peaks(props: {
  readonly run: RunState;
  readonly phases: readonly { readonly phase: number; readonly work: string }[];
  readonly currentPhase: number;
}): ReactNode {
  const { run, phases, currentPhase } = props;
  const lastPhases = useRun((store) => store.steps.at(-1)?.phases) ?? [];
  const last = phases.map(({ work }) => [...lastPhases, ...run.phases].findLast((record) => record.work === work));
  return (
    <tfoot>
      {run.devices.map(({ name }) => (
        <tr key={name}>
          <th scope="row" colSpan={3}>
            {run.devices.length === 1 ? "Peak, last time" : `Peak on ${name}, last time`}
          </th>
          <PeakCells device={name} phases={phases} records={last} currentPhase={currentPhase} />
        </tr>
      ))}
    </tfoot>
  );
}

function PeakCells(props: {
  readonly device: string;
  readonly phases: readonly { readonly phase: number }[];
  /** The last of each phase. */
  readonly records: readonly (PhaseRecord | undefined)[];
  readonly currentPhase: number;
}): ReactNode {
  const { device, phases, records, currentPhase } = props;
  const peaks = records.map((record) => record && peakOn(record, device).peakBytes);
  const highest = Math.max(0, ...peaks.map((bytes) => bytes ?? 0));
  return phases.map(({ phase }, index) => {
    const bytes = peaks[index];
    return (
      <td
        key={phase}
        data-current={phase === currentPhase || undefined}
        data-highest={(bytes !== undefined && bytes === highest) || undefined}
      >
        {bytes === undefined ? "" : formatBytes(bytes)}
      </td>
    );
  });
}
