/** What the policy wrote in the first step and in the last one, as it can be shown. */
import type { ReactNode } from "react";
import type { ReportedRun } from "../../../core/report/report.ts";
import { visibleText } from "../../../core/report/visible-text.ts";
import type { StepRecord } from "../../../core/run/records.ts";
import { Section, Table } from "./section.tsx";

export function Rollouts({ own: { steps } }: { readonly own: ReportedRun }): ReactNode {
  const first = steps.find(({ samples }) => samples.length > 0);
  const last = steps.findLast(({ samples }) => samples.length > 0);
  if (first === undefined || last === undefined) return undefined;
  const shown = first === last ? [first] : [first, last];
  return (
    <Section id="rollouts" title="Rollouts" about={`The first ${last.samples.length} of a step, with their rewards.`}>
      <div className="rollouts">
        {shown.map((step) => (
          <StepRollouts key={step.step} step={step} />
        ))}
      </div>
    </Section>
  );
}

function StepRollouts({ step: { step, samples } }: { readonly step: StepRecord }): ReactNode {
  return (
    <div>
      <h3>Step {step + 1}</h3>
      <Table
        caption={`Rollouts of step ${step + 1}`}
        columns={[{ name: "Prompt" }, { name: "Response" }, { name: "Reward", isNumber: true }]}
        rows={samples.map(({ prompt, response, reward }) => [
          <Text key="prompt" text={prompt} />,
          <Text key="response" text={response} />,
          Number(reward.toFixed(3)),
        ])}
      />
    </div>
  );
}

/** Isolated, so that text that is written from right to left leaves the rest of the row alone. */
function Text({ text }: { readonly text: string }): ReactNode {
  return text === "" ? <small>(nothing)</small> : <bdi className="model-text">{visibleText(text)}</bdi>;
}
