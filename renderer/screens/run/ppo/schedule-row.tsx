/** One line of the schedule: its breakpoint, how far it is, what it does. */
import { Check, CircleAlert, Play } from "lucide-react";
import type { ReactNode } from "react";
import { toErrorData } from "../../../../core/errors.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { describeAction, type Item, targetOf } from "../../../../core/schedule/schedule.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { notifyError } from "../../../state/notices.ts";
import { Swatch } from "../../../timeline/swatch.tsx";
import { breakpointOf, hasBreakpoint, toggled } from "./breakpoints.ts";
import { breakpointWords, WORK_WORDS } from "./run-words.ts";

/** `begun`: a phase of which something is done and something is not. */
export type Progress = "done" | "begun" | "current" | "running" | "failed" | "next";

const PROGRESS_WORDS: Readonly<Record<Progress, string>> = {
  done: "done",
  begun: "under way",
  current: "next to be done",
  running: "being done",
  failed: "failed",
  next: "to come",
};

export function ScheduleRow(props: {
  readonly item: Item;
  readonly run: RunState;
  readonly progress: Progress;
  /** The line of a whole phase, named by its work. */
  readonly isHead?: boolean;
  readonly children?: ReactNode;
}): ReactNode {
  const { item, run, progress, isHead = false } = props;
  const isHere = progress === "current" || progress === "running" || progress === "failed";
  // The work's own line has no gutter: the breakpoint of its phase is on the phase's line.
  const hasGutter = isHead || item.kind === "action";
  return (
    <div
      className="schedule-row"
      data-progress={progress}
      data-head={isHead || undefined}
      aria-current={isHere ? "step" : undefined}
    >
      {hasGutter ? <Gutter item={item} run={run} /> : <span />}
      <ProgressMark progress={progress} />
      <span className="schedule-words" title={isHead ? WORK_WORDS[item.work] : undefined}>
        {isHead ? (
          item.work
        ) : item.kind === "work" ? (
          <span className="schedule-work">{WORK_WORDS[item.work]}</span>
        ) : (
          <>
            <Swatch consumer={targetOf(item.action)} />
            {describeAction(item.action)}
          </>
        )}
      </span>
      {props.children}
    </div>
  );
}

function Gutter({ item, run }: { readonly item: Item; readonly run: RunState }): ReactNode {
  const client = useClient();
  const wanted = breakpointOf(item);
  const { breakpoints } = run.cursor;
  const toggle = () =>
    client
      .request("set_breakpoints", { breakpoints: [...toggled(breakpoints, wanted)] })
      .catch((error: unknown) => notifyError("Set a breakpoint", toErrorData(error)));
  const words = `Breakpoint ${breakpointWords(wanted)}`;
  return (
    <button
      type="button"
      className="schedule-gutter"
      aria-pressed={hasBreakpoint(breakpoints, wanted)}
      aria-label={words}
      title={words}
      onClick={() => void toggle()}
    />
  );
}

function ProgressMark({ progress }: { readonly progress: Progress }): ReactNode {
  const Icon = progress === "done" ? Check : progress === "failed" ? CircleAlert : Play;
  const isMarked = progress !== "next" && progress !== "begun";
  return (
    <span className="schedule-mark">
      {isMarked && <Icon aria-hidden size={12} />}
      <span className="visually-hidden">{PROGRESS_WORDS[progress]}</span>
    </span>
  );
}
