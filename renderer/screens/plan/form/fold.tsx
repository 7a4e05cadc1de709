/** A group of the form that is closed until somebody wants it; closed, it says what is chosen in it. */
import { ChevronRight } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { usePlan } from "../../../state/plan.ts";
import { evaluationOf, problemAt } from "../evaluation.ts";
import "./fold.css";

export function Fold(props: {
  readonly title: string;
  /** What is chosen in it, in a few words. */
  readonly summary: string;
  /** Its fields: it opens when one of them is wrong. */
  readonly fields: readonly string[];
  readonly children: ReactNode;
}): ReactNode {
  const isWrong = usePlan(({ plan }) =>
    props.fields.some((field) => problemAt(evaluationOf(plan), field) !== undefined),
  );
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (isWrong) setOpen(true);
  }, [isWrong]);
  return (
    <details className="plan-fold" open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <ChevronRight aria-hidden size={14} />
        <span className="plan-fold-title">{props.title}</span>
        <span className="plan-fold-summary" title={props.summary}>
          {props.summary}
        </span>
      </summary>
      <div className="plan-fold-body">{props.children}</div>
    </details>
  );
}
