/** What is under the pointer: a stack with its consumers, or one consumer with its reasons. */
import { type ReactNode, useLayoutEffect, useRef } from "react";
import type { Term } from "../../../../core/planner/provenance.ts";
import { formatBytes } from "../../../../core/units.ts";
import { Chip } from "../../../components/chip.tsx";
import { Swatch } from "../../../timeline/swatch.tsx";
import { signedBytes } from "../figures.ts";
import { PROVENANCE_WORDS } from "../provenance-words.ts";
import type { Holder, PhaseBars, Stack } from "./bars.ts";
import type { Hovered } from "./chart.tsx";

interface TooltipProps {
  readonly hovered: Hovered;
  readonly phase: PhaseBars;
  readonly ownName: string;
  readonly besideName: string;
}

const DISTANCE_PX = 14;

export function ChartTooltip(props: TooltipProps): ReactNode {
  const { hovered, phase, ownName, besideName } = props;
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const { width, height } = element.getBoundingClientRect();
    const right = hovered.clientX + DISTANCE_PX;
    const left = right + width > window.innerWidth - 8 ? hovered.clientX - DISTANCE_PX - width : right;
    const top = Math.min(hovered.clientY + DISTANCE_PX, window.innerHeight - height - 8);
    element.style.left = `${Math.max(8, left)}px`;
    element.style.top = `${Math.max(8, top)}px`;
  });
  const stack = hovered.bar === "beside" ? (phase.beside ?? phase.own) : phase.own;
  const other = hovered.bar === "beside" ? phase.own : phase.beside;
  const holder = stack.holders.find(({ consumer }) => consumer === hovered.consumer);
  return (
    <div ref={box} className="plan-tooltip figures" role="tooltip">
      <p className="plan-tooltip-title">
        <b>{phase.work}</b>
        <span>{hovered.bar === "beside" ? besideName : ownName}</span>
      </p>
      {holder === undefined ? (
        <StackList stack={stack} />
      ) : (
        <HolderFacts holder={holder} otherBytes={other && bytesOf(other, holder)} isBeside={hovered.bar === "beside"} />
      )}
    </div>
  );
}

function bytesOf({ holders }: Stack, { consumer }: Holder): number {
  return holders.find((one) => one.consumer === consumer)?.bytes ?? 0;
}

function StackList({ stack }: { readonly stack: Stack }): ReactNode {
  return (
    <dl className="plan-tooltip-list">
      {stack.holders.toReversed().map(({ consumer, bytes }) => (
        <div key={consumer}>
          <dt>
            <Swatch consumer={consumer} /> {consumer}
          </dt>
          <dd>{formatBytes(bytes)}</dd>
        </div>
      ))}
      <div className="plan-tooltip-total">
        <dt>together</dt>
        <dd>{formatBytes(stack.bytes)}</dd>
      </div>
    </dl>
  );
}

function HolderFacts(props: {
  readonly holder: Holder;
  readonly otherBytes: number | undefined;
  readonly isBeside: boolean;
}): ReactNode {
  const { holder, otherBytes, isBeside } = props;
  return (
    <>
      <dl className="plan-tooltip-list">
        <div>
          <dt>
            <Swatch consumer={holder.consumer} /> {holder.consumer}
          </dt>
          <dd>{formatBytes(holder.bytes)}</dd>
        </div>
        {otherBytes !== undefined && (
          <div>
            <dt>{isBeside ? "more than the plan" : "beside it"}</dt>
            <dd>{isBeside ? signedBytes(holder.bytes - otherBytes) : formatBytes(otherBytes)}</dd>
          </div>
        )}
      </dl>
      {holder.terms.length > 0 && (
        <ul className="plan-terms">
          {holder.terms.map((term) => (
            <TermLine key={term.cause} term={term} />
          ))}
        </ul>
      )}
    </>
  );
}

/** A part of a consumer with its reason. */
export function TermLine({ term }: { readonly term: Term }): ReactNode {
  const { label, tone, about } = PROVENANCE_WORDS[term.provenance];
  return (
    <li className="plan-term" title={term.source}>
      <span className="plan-term-cause">{term.cause}</span>
      <span>{formatBytes(term.amount)}</span>
      <Chip tone={tone} title={about}>
        {label}
      </Chip>
    </li>
  );
}
