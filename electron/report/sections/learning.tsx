/** What was learned: a small curve for every number of PPO that one watches. */
import type { ReactNode } from "react";
import type { ReportedRun, RunReport } from "../../../core/report/report.ts";
import { learnedTheSame } from "../../../core/report/verdict.ts";
import type { StepStatistics } from "../../../core/run/records.ts";
import { numberText } from "../figures/chart.tsx";
import { CurveChart, type CurvePoint } from "../figures/curve-chart.tsx";
import { Section } from "./section.tsx";

const WIDTH = 392;
const HEIGHT = 190;

const CURVES: readonly {
  readonly of: keyof StepStatistics;
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
}[] = [
  { of: "reward", name: "Reward", unit: "mean over rollouts", digits: 3 },
  { of: "kl", name: "KL", unit: "to the reference, nats per token", digits: 4 },
  { of: "entropy", name: "Entropy", unit: "nats per token", digits: 3 },
  { of: "policyLoss", name: "Policy loss", unit: "clipped", digits: 4 },
  { of: "valueLoss", name: "Value loss", unit: "clipped", digits: 4 },
  { of: "responseTokens", name: "Response length", unit: "tokens", digits: 2 },
];

export function Learning({ report: { own, baseline } }: { readonly report: RunReport }): ReactNode {
  if (own.steps.every(({ statistics }) => statistics === undefined)) return undefined;
  return (
    <Section id="learning" title="Learning" about={aboutOf(own, baseline)}>
      <div className="curves">
        {CURVES.map(({ of, name, unit, digits }) => {
          const points = pointsOf(own, of);
          const [first, last] = [points[0]?.value ?? 0, points.at(-1)?.value ?? 0];
          const change = `${numberText(first.toFixed(digits))} → ${numberText(last.toFixed(digits))}`;
          return (
            <figure key={of}>
              <figcaption>
                <strong>{name}</strong> <small>{unit}</small> <span className="number">{change}</span>
              </figcaption>
              <CurveChart
                id={`curve-${of}`}
                title={name}
                description={`${unit}, over ${points.length} steps: ${change}.`}
                points={points}
                reference={baseline ? pointsOf(baseline, of) : []}
                width={WIDTH}
                height={HEIGHT}
              />
            </figure>
          );
        })}
      </div>
    </Section>
  );
}

function aboutOf(own: ReportedRun, baseline: ReportedRun | undefined): string {
  if (baseline === undefined) return "By step.";
  switch (learnedTheSame(own, baseline)) {
    case undefined:
      return "By step.";
    case true:
      return "By step; the broad line is the run with everything resident, which learned the same in every bit.";
    case false:
      return "By step; the broad line is the run with everything resident.";
  }
}

function pointsOf({ steps }: ReportedRun, of: keyof StepStatistics): readonly CurvePoint[] {
  return steps.flatMap(({ step, statistics }) => (statistics === undefined ? [] : { step, value: statistics[of] }));
}
