/** The run that has the device: what it is, where it stands and why, its stepper, and what it has cost so far. */
import { Square } from "lucide-react";
import type { ReactNode } from "react";
import type { RunState } from "../../../../core/run/state.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { CommandButton } from "../../../components/button.tsx";
import { Chip } from "../../../components/chip.tsx";
import { useTimeline } from "../../../state/timeline.ts";
import { usePulse } from "../../../timeline/use-view.ts";
import { Failure } from "./failure.tsx";
import { Quantisation } from "./quantisation.tsx";
import { placeWords, runStatus, whyWords } from "./run-words.ts";
import { SavingsLine } from "./savings-line.tsx";
import { Stepper } from "./stepper.tsx";
import "./run-panel.css";

/** What is over sooner needs no clock. */
const WORTH_SAYING_SECONDS = 1;
const TICK_MS = 250;

export function RunPanel({ run }: { readonly run: RunState }): ReactNode {
  const { workload, schedule, cursor } = run;
  const status = runStatus(run);
  return (
    <section className="panel run-panel" aria-labelledby="run-title">
      <header className="panel-header">
        <h2 className="panel-title" id="run-title">
          PPO run
        </h2>
        <Chip tone={status.tone}>{status.text}</Chip>
        <CommandButton id="run.close" kind="quiet" icon={Square} />
      </header>
      <div className="run-body">
        <p className="run-facts figures" title={schedule.name}>
          <b>{workload.name}</b>
          {run.devices.map(({ name, capacityBytes, holds }) => (
            <span key={name} title={`${name}: ${holds.join(", ")}`}>
              {run.devices.length > 1 && `${name} `}
              {formatBytes(capacityBytes)}
            </span>
          ))}
          <span>seed {workload.seed}</span>
          <span className="run-schedule-name">{schedule.name}</span>
        </p>
        <Stepper run={run} />
        <div className="run-place" role="status" aria-live="polite" aria-label="Where the run stands">
          <p className="run-place-words figures" title={placeWords(run)}>
            {placeWords(run)}
          </p>
          <p className="run-why figures">
            {whyWords(run)}
            <Elapsed startedSeconds={run.itemStartedSeconds} />
          </p>
        </div>
        {cursor.run.status === "failed" && <Failure run={run} error={cursor.run.error} />}
        <SavingsLine run={run} />
        <Quantisation roles={run.quantisation} />
      </div>
    </section>
  );
}

/** How long the item under way takes already, by the clock of the session's samples: the window's may differ. */
function Elapsed({ startedSeconds }: { readonly startedSeconds: number | undefined }): ReactNode {
  usePulse(TICK_MS, startedSeconds !== undefined);
  const nowSeconds = useTimeline.getState().store.lastSeconds;
  if (startedSeconds === undefined || nowSeconds === undefined) return undefined;
  const seconds = nowSeconds - startedSeconds;
  return seconds < WORTH_SAYING_SECONDS ? undefined : <span aria-hidden> · for {formatSeconds(seconds)}</span>;
}
