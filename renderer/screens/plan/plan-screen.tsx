/**
 * The Plan screen: the plan as a form, what it takes phase by phase with the verdict over it, and the strategies that change
 * it. All of it is predicted in this window, with every keystroke.
 */
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { predict } from "../../../core/planner/predict/predict.ts";
import type { Prediction } from "../../../core/planner/predict/prediction.ts";
import { PRESETS } from "../../../core/planner/presets.ts";
import type { Work } from "../../../core/schedule/works.ts";
import { ChartPanel } from "./chart/chart-panel.tsx";
import { DetailTabs } from "./detail/detail-tabs.tsx";
import { type Evaluation, useEvaluation } from "./evaluation.ts";
import { PlanPanel } from "./plan-panel.tsx";
import { StrategiesPanel } from "./strategies/strategies-panel.tsx";
import { useBeside } from "./use-beside.ts";
import { VerdictPanel } from "./verdict-panel.tsx";
import "./plan-screen.css";

export function PlanScreen(): ReactNode {
  const evaluation = useEvaluation();
  const prediction = useLastPrediction(evaluation);
  const [kind, setKind] = useState<string>();
  /** Undefined follows the peak. */
  const [chosen, setChosen] = useState<Work>();
  const beside = useBeside(prediction, kind ?? prediction.fullest.kind);
  const selected = chosen ?? prediction.fullest.peakWork;
  const select = useCallback((work: Work) => setChosen((before) => (work === before ? undefined : work)), []);
  return (
    <main className="plan-screen">
      <PlanPanel />
      <div className="plan-middle">
        <VerdictPanel evaluation={evaluation} />
        <ChartPanel
          prediction={prediction}
          isStale={!evaluation.ok}
          beside={beside}
          kind={kind}
          onKind={setKind}
          selected={selected}
          onSelect={select}
        />
        <DetailTabs prediction={prediction} beside={beside} kind={kind} selected={selected} />
      </div>
      <StrategiesPanel />
    </main>
  );
}

/** While fields are wrong, the last plan that was possible stays on the screen, paler. */
function useLastPrediction(evaluation: Evaluation): Prediction {
  const last = useRef<Prediction>(undefined);
  const prediction = evaluation.ok ? evaluation.prediction : undefined;
  useEffect(() => {
    if (prediction !== undefined) last.current = prediction;
  }, [prediction]);
  return prediction ?? last.current ?? predict(PRESETS[0].plan);
}
