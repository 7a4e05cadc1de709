/** Why a phase takes what it takes: every consumer's bytes with their reasons, and where each number comes from. */
import type { ReactNode } from "react";
import type { Term } from "../../../../core/planner/provenance.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { Chip } from "../../../components/chip.tsx";
import { Swatch } from "../../../timeline/swatch.tsx";
import type { PhaseBars } from "../chart/bars.ts";
import { TermLine } from "../chart/tooltip.tsx";
import { PROVENANCE_WORDS } from "../provenance-words.ts";

export function Terms({ phase, workTerm }: { readonly phase: PhaseBars; readonly workTerm: Term }): ReactNode {
  const { label, tone, about } = PROVENANCE_WORDS[workTerm.provenance];
  return (
    <div className="plan-detail-scroll">
      <p className="plan-detail-lead">
        <b>{phase.work}</b> holds <b>{formatBytes(phase.own.bytes)}</b> at most
        {workTerm.amount > 0 && (
          <>
            , and its work takes {formatSeconds(workTerm.amount)} ({workTerm.cause}){" "}
            <Chip tone={tone} title={workTerm.source ?? about}>
              {label}
            </Chip>
          </>
        )}
      </p>
      <ul className="plan-why figures">
        {phase.own.holders.toReversed().map(({ consumer, bytes, terms }) => (
          <li key={consumer}>
            <p className="plan-why-head">
              <span>
                <Swatch consumer={consumer} /> {consumer}
              </span>
              <b>{formatBytes(bytes)}</b>
            </p>
            <ul>
              {terms.map((term) => (
                <TermLine key={term.cause} term={term} />
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </div>
  );
}
