/** The schedule as it ran: its phases with their memory actions, and where every consumer is during each. */
import type { ReactNode } from "react";
import { checkSchedule, type ResidencyCell, residencyMatrix } from "../../../core/schedule/check.ts";
import { consumersWith } from "../../../core/schedule/residency.ts";
import { type Action, describeAction, type Phase, type Schedule } from "../../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../../core/schedule/works.ts";
import { consumerClass } from "../figures/chart.tsx";
import { Section, workName } from "./section.tsx";

export function ScheduleList({ schedule }: { readonly schedule: Schedule }): ReactNode {
  const check = checkSchedule(schedule);
  const rows = check.ok ? residencyMatrix(schedule, check.moments) : [];
  const consumers = consumersWith(schedule.roles);
  return (
    <Section
      id="schedule"
      title="Schedule"
      about="Where every consumer is while a phase works. R: read, W: written, S: scratch memory."
    >
      <div className="table">
        <table className="schedule">
          <caption className="unseen">Phases with their actions, and the residency of every consumer</caption>
          <thead>
            <tr>
              <th scope="col">Phase and its memory actions</th>
              {consumers.map((consumer) => (
                <th key={consumer} scope="col" className="upright">
                  <span>{consumer}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {schedule.phases.map((phase, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a work may come twice, a place does not
              <tr key={index}>
                <th scope="row">
                  <PhaseWithActions phase={phase} number={index + 1} />
                </th>
                {consumers.map((consumer) => {
                  const cell = rows[index]?.cells[consumer];
                  return <td key={consumer}>{cell && <Cell consumer={consumer} cell={cell} />}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function PhaseWithActions({ phase, number }: { readonly phase: Phase; readonly number: number }): ReactNode {
  return (
    <>
      <Actions actions={phase.before} />
      <span className="work">
        {number} {workName(phase.work)}
      </span>
      <Actions actions={phase.after} />
    </>
  );
}

function Actions({ actions }: { readonly actions: readonly Action[] }): ReactNode {
  return (
    actions.length > 0 && (
      <ul className="edge">
        {actions.map((action) => {
          const words = describeAction(action);
          return <li key={words}>{words}</li>;
        })}
      </ul>
    )
  );
}

const LETTERS = { none: "", read: "R", written: "W", scratch: "S" } as const satisfies Record<
  ResidencyCell["use"],
  string
>;

interface CellProps {
  readonly consumer: ScheduledConsumer;
  readonly cell: ResidencyCell;
}

function Cell({ consumer, cell: { residency, contents, use } }: CellProps): ReactNode {
  const words = [
    consumer,
    residency,
    contents !== "defined" && residency === "resident" && contents,
    use !== "none" && use,
  ];
  const place = residency === "host" || residency === "disk" || residency === "shared" ? residency : "";
  return (
    <span className={`cell ${residency} ${consumerClass(consumer)}`} title={words.filter(Boolean).join(", ")}>
      <span className="unseen">{residency}</span>
      {LETTERS[use] || place}
    </span>
  );
}
