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
  const phases = prediction.phases.filter(({ transitions }) => transitions.length > 0);
  const all = phases.flatMap(({ transitions }) => transitions);
  const longest = Math.max(0, ...all.map(({ totalSeconds }) => totalSeconds));
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
            <th scope="col">Seconds</th>
            <th scope="col" aria-label="Share of the longest" />
            <th scope="col">Reckoned with</th>
          </tr>
        </thead>
        {phases.map(({ work, memorySeconds, transitions }) => (
          <tbody key={work}>
            <tr className="plan-transition-phase">
              <th scope="rowgroup" colSpan={3}>
                {work}
              </th>
              <td>{formatSeconds(memorySeconds)}</td>
              <td colSpan={2} />
            </tr>
            {transitions.map((transition) => (
              <TransitionRow key={`${transition.edge} ${transition.label}`} transition={transition} longest={longest} />
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

function TransitionRow(props: { readonly transition: PredictedTransition; readonly longest: number }): ReactNode {
  const { transition, longest } = props;
  const { edge, label, consumer, copiedBytes, totalSeconds, seconds } = transition;
  return (
    <tr>
      <td className="plan-soft">{edge}</td>
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
