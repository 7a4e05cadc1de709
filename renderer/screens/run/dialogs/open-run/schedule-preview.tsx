/** What a schedule would do, phase by phase, and whether it can run; before anything is loaded. */
import { CircleCheck } from "lucide-react";
import type { ReactNode } from "react";
import { describeAction, type Phase, type Schedule } from "../../../../../core/schedule/schedule.ts";
import { ErrorBox } from "../../../../components/error-words.tsx";
import type { SchedulePlan } from "../../../../state/run-draft.ts";
import { WORK_WORDS } from "../../ppo/run-words.ts";
import "./schedule-preview.css";

export function SchedulePreview({ plan }: { readonly plan: SchedulePlan }): ReactNode {
  return (
    <section className="schedule-preview" aria-label="What the schedule does">
      {plan.ok ? (
        <p className="schedule-runs">
          <CircleCheck aria-hidden size={14} />
          <span>
            Can run: {sizeWords(plan.schedule)}. Every phase finds what it needs; whether it fits the capacity shows
            when it runs.
          </span>
        </p>
      ) : (
        <ErrorBox error={plan.error} />
      )}
      {plan.schedule && (
        <details className="schedule-details">
          <summary>Phases and actions</summary>
          <ol>
            {plan.schedule.phases.map((phase, index) => (
              // A work may stand in a schedule more than once.
              // biome-ignore lint/suspicious/noArrayIndexKey: see above
              <PhaseWords key={index} phase={phase} />
            ))}
          </ol>
        </details>
      )}
    </section>
  );
}

function PhaseWords({ phase }: { readonly phase: Phase }): ReactNode {
  return (
    <li>
      <p className="schedule-details-phase">{phase.work}</p>
      {phase.before.map((action) => (
        <p key={describeAction(action)}>{describeAction(action)}</p>
      ))}
      <p className="schedule-details-work">{WORK_WORDS[phase.work]}</p>
      {phase.after.map((action) => (
        <p key={describeAction(action)}>{describeAction(action)}</p>
      ))}
    </li>
  );
}

function sizeWords({ phases }: Schedule): string {
  const actions = phases.reduce((sum, { before, after }) => sum + before.length + after.length, 0);
  return `${phases.length} phases, ${actions === 1 ? "1 memory action" : `${actions} memory actions`}`;
}
