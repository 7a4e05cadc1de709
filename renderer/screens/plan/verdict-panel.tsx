/** The answer in one sentence, the figures behind it, and what can be done with the plan. */
import { Download, Play, Wand2 } from "lucide-react";
import type { ReactNode } from "react";
import { layoutOf, type Placement } from "../../../core/planner/plan.ts";
import type { Fit, Prediction } from "../../../core/planner/predict/prediction.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";
import { CommandButton } from "../../components/button.tsx";
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
  return (
    <section className="panel plan-verdict" aria-label="Verdict">
      <div className="plan-verdict-row">
        <div className="plan-verdict-words" role="status" aria-live="polite">
          {evaluation.ok ? <Sentence prediction={evaluation.prediction} /> : <Wrong evaluation={evaluation} />}
        </div>
        <div className="plan-verdict-actions">
          <CommandButton id="plan.make_fit" icon={Wand2} kind={needsFit(evaluation) ? "primary" : "plain"} />
          <CommandButton id="plan.run" icon={Play} />
          <CommandButton id="plan.export" icon={Download} />
        </div>
      </div>
    </section>
  );
}

function needsFit(evaluation: Evaluation): boolean {
  return evaluation.ok && evaluation.prediction.fit !== "fits";
}

function Sentence({ prediction }: { readonly prediction: Prediction }): ReactNode {
  const { fit, verdict, plan, gpu, workSeconds, memorySeconds, hostBytes } = prediction;
  const { label, tone } = FITS[fit];
  return (
    <>
      <p className="plan-verdict-sentence">
        <Chip tone={tone}>{label}</Chip>{" "}
        {verdict.replace(/^(Fits|Tight|Does not fit): /, "").replace(/^./, (first) => first.toUpperCase())}
      </p>
      <p className="plan-verdict-more figures">
        {[
          `${placementWords(plan.placement)} ${gpu.name}`,
          `${formatSeconds(stepSeconds(prediction))} a step: ${formatSeconds(workSeconds)} of work, ${formatSeconds(memorySeconds)} of moving memory`,
          ...(hostBytes > 0 ? [`${formatBytes(hostBytes)} of host memory`] : []),
        ].join(" · ")}
      </p>
    </>
  );
}

function placementWords(placement: Placement): string {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  return placement.kind === "colocated" ? `${trainerGpus} ×` : `${trainerGpus} + ${engineGpus} ×`;
}

function Wrong({ evaluation }: { readonly evaluation: Extract<Evaluation, { ok: false }> }): ReactNode {
  const [first, ...more] = evaluation.problems;
  return (
    <>
      <p className="plan-verdict-sentence">
        <Chip tone="danger">impossible</Chip> {first?.field}: {first?.message}
      </p>
      <p className="plan-verdict-more">
        {first?.hint ?? "What is drawn is the last plan that was possible."}
        {more.length > 0 && ` ${more.length} more below their fields.`}
      </p>
    </>
  );
}
