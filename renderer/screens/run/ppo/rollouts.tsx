/** Some rollouts of a step: prompt, response and reward; any step of the run can be chosen. */
import { ChevronLeft, ChevronRight } from "lucide-react";
import type { ReactNode } from "react";
import type { StepRecord } from "../../../../core/run/records.ts";
import { Button } from "../../../components/button.tsx";
import { selectStep, shownStep, useRun } from "../../../state/run.ts";
import "./rollouts.css";

export function Rollouts(): ReactNode {
  const { steps, selectedStep } = useRun();
  const shown = shownStep(steps, selectedStep);
  if (shown === undefined) {
    return <p className="panel-empty">Prompts, responses and their rewards appear when a step is complete.</p>;
  }
  return (
    <div className="rollouts">
      <StepPicker steps={steps} shown={shown} isFollowing={selectedStep === undefined} />
      {shown.samples.length === 0 ? (
        <p className="panel-empty">This step kept no rollouts.</p>
      ) : (
        <div className="rollouts-scroll">
          <table className="rollouts-table">
            <thead>
              <tr>
                <th scope="col">Prompt</th>
                <th scope="col">Response</th>
                <th scope="col">Reward</th>
              </tr>
            </thead>
            <tbody>
              {shown.samples.map(({ prompt, response, reward }, index) => (
                // Two rollouts may be equal; their order is fixed.
                // biome-ignore lint/suspicious/noArrayIndexKey: see above
                <tr key={index}>
                  <td>{prompt}</td>
                  <td>{response === "" ? <span className="rollout-empty">nothing</span> : response}</td>
                  <td className="figures">{Number(reward.toFixed(3))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function StepPicker(props: {
  readonly steps: readonly StepRecord[];
  readonly shown: StepRecord;
  readonly isFollowing: boolean;
}): ReactNode {
  const { steps, shown, isFollowing } = props;
  const at = steps.indexOf(shown);
  const choose = (index: number) => {
    const step = steps[index];
    if (step !== undefined) selectStep(index === steps.length - 1 ? undefined : step.step);
  };
  return (
    <div className="rollouts-bar">
      <Button
        kind="quiet"
        icon={ChevronLeft}
        className="button-icon"
        aria-label="Step before"
        disabled={at <= 0}
        onClick={() => choose(at - 1)}
      />
      <select
        className="input rollouts-step figures"
        aria-label="Step"
        value={shown.step}
        onChange={({ target }) => choose(steps.findIndex(({ step }) => step === Number(target.value)))}
      >
        {steps.toReversed().map(({ step, statistics }) => (
          <option key={step} value={step}>
            step {step + 1}
            {statistics && ` · reward ${statistics.reward.toFixed(3)}`}
          </option>
        ))}
      </select>
      <Button
        kind="quiet"
        icon={ChevronRight}
        className="button-icon"
        aria-label="Step after"
        disabled={at >= steps.length - 1}
        onClick={() => choose(at + 1)}
      />
      <span className="rollouts-following">
        {shown.samples.length} of its rollouts{isFollowing && ", newest step"}
      </span>
    </div>
  );
}
