/** The answer in one sentence, the figures behind it, and what can be done with the plan. */
import { Download, Play, Wand2 } from "lucide-react";
import type { ReactNode } from "react";
import type { Fit } from "../../../core/planner/predict/prediction.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";
import { CommandButton } from "../../components/button.tsx";
import { capitalised } from "../../components/capitalised.ts";
import { Chip, type Tone } from "../../components/chip.tsx";
import type { Evaluation } from "./evaluation.ts";
import { stepSeconds } from "./strategies/effects.ts";
import "./verdict-panel.css";

const FITS: Readonly<Record<Fit, { readonly label: string; readonly tone: Tone }>> = {
  fits: { label: "fits", tone: "ok" },
  tight: { label: "tight", tone: "warning" },
  exceeds: { label: "does not fit", tone: "danger" },
};

export function VerdictPanel({ evaluation }: { readonly evaluation: Evaluation }): ReactNode {
  const { sentence, more, tone, label } = wordsOf(evaluation);
  return (
    <section className="panel plan-verdict" aria-label="Verdict">
      <p className="plan-verdict-sentence" role="status" aria-live="polite">
        <Chip tone={tone}>{label}</Chip> {sentence}
      </p>
      <div className="plan-verdict-row">
        <p className="plan-verdict-more figures">{more}</p>
        <CommandButton id="plan.make_fit" icon={Wand2} kind={needsFit(evaluation) ? "primary" : "plain"} />
        <CommandButton id="plan.run" icon={Play} />
        <CommandButton id="plan.export" icon={Download} />
      </div>
    </section>
  );
}

function needsFit(evaluation: Evaluation): boolean {
  return evaluation.ok && evaluation.prediction.fit !== "fits";
}

interface VerdictWords {
  readonly label: string;
  readonly tone: Tone;
  readonly sentence: string;
  readonly more: string;
}

function wordsOf(evaluation: Evaluation): VerdictWords {
  if (!evaluation.ok) {
    const [first, ...others] = evaluation.problems;
    const more = first?.hint ?? "What is drawn is the last plan that was possible.";
    return {
      label: "impossible",
      tone: "danger",
      sentence: `${first?.field}: ${first?.message}`,
      more: others.length === 0 ? more : `${more} ${others.length} more below their fields.`,
    };
  }
  const { prediction } = evaluation;
  const { fit, verdict, memorySeconds, hostBytes } = prediction;
  const moving = memorySeconds > 0 ? `, ${formatSeconds(memorySeconds)} of it to move memory` : "";
  const host = hostBytes > 0 ? ` · ${formatBytes(hostBytes)} of host memory` : "";
  return {
    ...FITS[fit],
    // The chip says the verdict's first word.
    sentence: capitalised(verdict.replace(/^(Fits|Tight|Does not fit): /, "")),
    more: `${formatSeconds(stepSeconds(prediction))} a step${moving}${host}`,
  };
}
