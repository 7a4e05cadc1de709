/** What the memory actions of a step cost: each with its seconds, the bytes it copies, and how that was reckoned. */
import type { ReactNode } from "react";
import type { PredictedTransition, Prediction } from "../../../../core/planner/predict/prediction.ts";
import type { Term } from "../../../../core/planner/provenance.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { Chip } from "../../../components/chip.tsx";
import { Meter } from "../../../components/meter.tsx";
import { Swatch } from "../../../timeline/swatch.tsx";
import { PROVENANCE_WORDS } from "../provenance-words.ts";

export function Transitions({ prediction }: { readonly prediction: Prediction }): ReactNode {
  const all = prediction.phases.flatMap(({ work, transitions }) =>
    transitions.map((transition, index) => ({ key: `${work} ${index}`, work, transition })),
  );
  const longest = Math.max(0, ...all.map(({ transition }) => transition.totalSeconds));
  if (all.length === 0) return <p className="panel-empty">Nothing is moved: everything stays where it is.</p>;
  return (
    <div className="plan-detail-scroll">
      <p className="plan-detail-lead">
        {all.length === 1 ? "1 memory action" : `${all.length} memory actions`} a step, together{" "}
        <b>{formatSeconds(prediction.memorySeconds)}</b> beside {formatSeconds(prediction.workSeconds)} of work
      </p>
      <table className="plan-table plan-transitions figures">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Action</th>
            <th scope="col">Copied</th>
            <th scope="col" colSpan={2}>
              Seconds
            </th>
            <th scope="col">Reckoned with</th>
          </tr>
        </thead>
        <tbody>
          {all.map(({ key, work, transition }) => (
            <TransitionRow key={key} work={work} transition={transition} longest={longest} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TransitionRow(props: {
  readonly work: string;
  readonly transition: PredictedTransition;
  readonly longest: number;
}): ReactNode {
  const { work, transition, longest } = props;
  const { edge, label, consumer, copiedBytes, totalSeconds, seconds } = transition;
  return (
    <tr>
      <td className="plan-soft">
        {edge} {work}
      </td>
      <th scope="row" title={label}>
        <Swatch consumer={consumer} /> {label}
      </th>
      <td>{copiedBytes === 0 ? "–" : formatBytes(copiedBytes)}</td>
      <td>{totalSeconds === 0 ? "–" : formatSeconds(totalSeconds)}</td>
      <td className="plan-transition-meter">
        <Meter
          label={`Seconds of ${label}`}
          totalBytes={longest}
          text={formatSeconds(totalSeconds)}
          parts={[{ bytes: totalSeconds, colour: "var(--warning)" }]}
        />
      </td>
      <td>
        <span className="plan-reasons">
          {seconds.map((term) => (
            <Reason key={term.cause} term={term} />
          ))}
        </span>
      </td>
    </tr>
  );
}

function Reason({ term }: { readonly term: Term }): ReactNode {
  const { label, tone, about } = PROVENANCE_WORDS[term.provenance];
  const words = `${term.cause}, ${formatSeconds(term.amount)}: ${term.source ?? about}`;
  return (
    <Chip tone={tone} title={words}>
      {label}
    </Chip>
  );
}
