/** The plan less what lies beside it: per phase and consumer, and what the whole step comes to. */
import type { ReactNode } from "react";
import type { Consumer } from "../../../../core/consumers.ts";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { gpuCount } from "../../../../core/planner/resolve.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { formatBytes, formatSeconds, GIB, MIB } from "../../../../core/units.ts";
import { Swatch } from "../../../timeline/swatch.tsx";
import { consumersOf, type PhaseBars, type Stack } from "../chart/bars.ts";
import { signedPercent } from "../figures.ts";
import type { Beside } from "../use-beside.ts";

export function Differences(props: {
  readonly prediction: Prediction;
  readonly phases: readonly PhaseBars[];
  readonly beside: Beside | undefined;
  readonly selected: Work;
}): ReactNode {
  const { prediction, phases, beside, selected } = props;
  if (beside === undefined) {
    return (
      <p className="panel-empty">
        Lay another plan beside this one, or run it: the differences per phase and consumer are listed here.
      </p>
    );
  }
  const consumers = consumersOf(phases).toReversed();
  const unit = unitOf(prediction.capacityBytes);
  return (
    <div className="plan-detail-scroll">
      <p className="plan-detail-lead">
        {beside.kind === "run" ? (
          <>
            <b>Measured less predicted</b>: {beside.name} of the run
          </>
        ) : (
          <>
            <b>{beside.name}</b> less <b>{prediction.plan.name}</b>
            {beside.prediction && `: ${wholeWords(prediction, beside.prediction)}`}
          </>
        )}
      </p>
      <table className="plan-table plan-differences figures">
        <thead>
          <tr>
            <th scope="col">{unit.name}</th>
            {phases.map(({ work }) => (
              <th scope="col" key={work} data-selected={work === selected || undefined}>
                {work.replace("_", " ")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {consumers.map((consumer) => (
            <tr key={consumer}>
              <th scope="row">
                <Swatch consumer={consumer} />
                {consumer}
              </th>
              {phases.map((phase) => (
                <DifferenceCell key={phase.work} phase={phase} consumer={consumer} unit={unit} />
              ))}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <Sum name="This plan" phases={phases} words={({ own }) => inUnit(own.bytes, unit)} />
          <Sum
            name={beside.kind === "run" ? "Measured" : "Beside"}
            phases={phases}
            words={({ beside: other }) => (other === undefined ? "" : inUnit(other.bytes, unit))}
          />
          <Sum
            name="Difference"
            phases={phases}
            words={({ own, beside: other }) =>
              other === undefined ? "" : signedPercent(other.bytes - own.bytes, own.bytes)
            }
          />
          <Sum
            name="Seconds"
            phases={phases}
            words={({ workSeconds, memorySeconds }) => secondsWords(workSeconds + memorySeconds)}
          />
          <Sum
            name={beside.kind === "run" ? "Seconds, measured" : "Seconds, beside"}
            phases={phases}
            words={({ work }) => secondsWords(beside.seconds.get(work) ?? 0)}
          />
        </tfoot>
      </table>
    </div>
  );
}

function wholeWords(own: Prediction, other: Prediction): string {
  const seconds = (prediction: Prediction) => formatSeconds(prediction.workSeconds + prediction.memorySeconds);
  return [
    `${gpuCount(other.plan)} GPUs against ${gpuCount(own.plan)}`,
    `${seconds(other)} a step against ${seconds(own)}`,
    `peak ${formatBytes(other.fullest.peakBytes)} against ${formatBytes(own.fullest.peakBytes)}`,
  ].join(", ");
}

/** One for the whole table, so that numbers below each other can be compared. */
interface Unit {
  readonly name: string;
  readonly bytes: number;
}

function unitOf(capacityBytes: number): Unit {
  return capacityBytes >= 4 * GIB ? { name: "GiB", bytes: GIB } : { name: "MiB", bytes: MIB };
}

function inUnit(bytes: number, unit: Unit): string {
  return (bytes / unit.bytes).toFixed(2);
}

function DifferenceCell(props: {
  readonly phase: PhaseBars;
  readonly consumer: Consumer;
  readonly unit: Unit;
}): ReactNode {
  const { phase, consumer, unit } = props;
  const { own, beside } = phase;
  if (beside === undefined) return <td />;
  const [before, after] = [heldBy(own, consumer), heldBy(beside, consumer)];
  const difference = after - before;
  const sign = difference === 0 ? "same" : difference > 0 ? "more" : "less";
  const title = `${consumer} in ${phase.work}: ${formatBytes(before)}, beside it ${formatBytes(after)}`;
  return (
    <td data-sign={sign} title={title}>
      {before === 0 && after === 0
        ? ""
        : difference === 0
          ? "0"
          : `${difference > 0 ? "+" : "−"}${inUnit(Math.abs(difference), unit)}`}
    </td>
  );
}

function secondsWords(seconds: number): string {
  return seconds === 0 ? "" : formatSeconds(seconds);
}

function heldBy({ holders }: Stack, consumer: Consumer): number {
  return holders.find((holder) => holder.consumer === consumer)?.bytes ?? 0;
}

function Sum(props: {
  readonly name: string;
  readonly phases: readonly PhaseBars[];
  readonly words: (phase: PhaseBars) => string;
}): ReactNode {
  return (
    <tr>
      <th scope="row">{props.name}</th>
      {props.phases.map((phase) => (
        <td key={phase.work}>{props.words(phase)}</td>
      ))}
    </tr>
  );
}
