/**
 * The schedule as a list: phases with their works and actions, what is done of this step and what comes next, how long each
 * phase took, and a breakpoint wherever the gutter is clicked. The current item stays in view.
 */
import { type ReactNode, useLayoutEffect, useMemo, useState } from "react";
import type { PhaseRecord } from "../../../../core/run/records.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { type Item, itemsOf } from "../../../../core/schedule/schedule.ts";
import { useRun } from "../../../state/run.ts";
import { useSize } from "../../../timeline/use-view.ts";
import { BreakpointMenu } from "./breakpoint-menu.tsx";
import { type Progress, ScheduleRow } from "./schedule-row.tsx";
import { TimeSplit } from "./time-split.tsx";
import "./schedule-panel.css";

export function SchedulePanel({ run }: { readonly run: RunState }): ReactNode {
  const { schedule, cursor } = run;
  const items = useMemo(() => itemsOf(schedule), [schedule]);
  const lastPhases = useRun((store) => store.steps.at(-1)?.phases);
  const [list, setList] = useState<HTMLOListElement | null>(null);
  useInView(list, cursor.index);
  const longestSeconds = Math.max(
    0,
    ...(lastPhases ?? run.phases).map((phase) => phase.workSeconds + phase.memorySeconds),
  );
  return (
    <section className="panel schedule-panel" aria-labelledby="schedule-title">
      <header className="panel-header">
        <h2 className="panel-title" id="schedule-title">
          Schedule
        </h2>
        <BreakpointMenu run={run} />
      </header>
      <div className="schedule-legend" aria-hidden>
        <span className="schedule-legend-work">work</span>
        <span className="schedule-legend-memory">memory actions</span>
        <span>{lastPhases === undefined ? "of this step" : "last time"}</span>
      </div>
      <ol className="schedule-list" ref={setList} aria-label="Phases of a step">
        {schedule.phases.map(({ work }, phase) => {
          const ofPhase = items.filter((item) => item.phase === phase);
          const record = recordOf(run.phases, work) ?? recordOf(lastPhases ?? [], work);
          return (
            <li
              // A work may stand in a schedule more than once.
              // biome-ignore lint/suspicious/noArrayIndexKey: see above
              key={phase}
              className="schedule-phase"
              data-current={ofPhase.some(({ index }) => index === cursor.index) || undefined}
            >
              <PhaseRows run={run} items={ofPhase} record={record} longestSeconds={longestSeconds} />
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function PhaseRows(props: {
  readonly run: RunState;
  readonly items: readonly Item[];
  readonly record: PhaseRecord | undefined;
  readonly longestSeconds: number;
}): ReactNode {
  const { run, items, record, longestSeconds } = props;
  const work = items.find(({ kind }) => kind === "work");
  if (work === undefined) return undefined;
  return (
    <>
      <ScheduleRow item={work} run={run} progress={phaseProgress(items, run)} isHead>
        <TimeSplit record={record} longestSeconds={longestSeconds} />
      </ScheduleRow>
      {items.length > 1 && (
        <ol>
          {items.map((item) => (
            <li key={item.index}>
              <ScheduleRow item={item} run={run} progress={itemProgress(item, run)} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

function itemProgress({ index }: Item, { cursor }: RunState): Progress {
  if (index !== cursor.index) return index < cursor.index ? "done" : "next";
  const { status } = cursor.run;
  return status === "failed" ? "failed" : status === "paused" ? "current" : "running";
}

/** A phase with nothing but its work is one row, which is the current one itself. */
function phaseProgress(items: readonly Item[], run: RunState): Progress {
  const [first] = items;
  const last = items.at(-1);
  if (first === undefined || last === undefined) return "next";
  if (items.length === 1) return itemProgress(first, run);
  if (last.index < run.cursor.index) return "done";
  return first.index <= run.cursor.index ? "begun" : "next";
}

function recordOf(phases: readonly PhaseRecord[], work: PhaseRecord["work"]): PhaseRecord | undefined {
  return phases.find((phase) => phase.work === work);
}

/** Kept in sight above and below the current row, where there is room. */
const MOST_MARGIN_PX = 48;

/** Also when the panel above grows, as it does to say what went wrong. */
function useInView(list: HTMLElement | null, index: number): void {
  const heightPx = useSize(list)?.height;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the cursor and the list's height move the current row
  useLayoutEffect(() => {
    const row = list?.querySelector<HTMLElement>("[aria-current]");
    if (list === null || row === null || row === undefined) return;
    const box = list.getBoundingClientRect();
    const { top, bottom } = row.getBoundingClientRect();
    const margin = Math.min(MOST_MARGIN_PX, Math.max(0, (box.height - (bottom - top)) / 2));
    if (top < box.top + margin) list.scrollTop -= box.top + margin - top;
    else if (bottom > box.bottom - margin) list.scrollTop += bottom - (box.bottom - margin);
  }, [list, index, heightPx]);
}
