/** No schedule fits: the smallest changes beside it that would, each to be taken with one click. */
import { type ReactNode, useEffect, useState } from "react";
import { type TidelineErrorData, toErrorData } from "../../../../core/errors.ts";
import type { Plan } from "../../../../core/planner/plan.ts";
import { changesThatFit, type FittingChange, nothingOnThisCard } from "../../../../core/planner/search/changes.ts";
import type { Effect } from "../../../../core/planner/search/edit.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { Button } from "../../../components/button.tsx";
import { capitalised } from "../../../components/capitalised.ts";
import { Chip, type Tone } from "../../../components/chip.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { Skeleton } from "../../../components/skeleton.tsx";
import { choosePlan, usePlan } from "../../../state/plan.ts";
import { closeDialog } from "../../../state/view.ts";
import { stepSeconds } from "../strategies/effects.ts";
import "./fit-dialog.css";

const EFFECTS: Readonly<Record<Effect, { readonly label: string; readonly tone: Tone; readonly about: string }>> = {
  speed: { label: "same numbers", tone: "ok", about: "up to rounding; at most it takes longer" },
  precision: { label: "fewer bits", tone: "accent", about: "some numbers are kept in fewer bits" },
  training: { label: "other training", tone: "warning", about: "something else is trained" },
  hardware: { label: "other cards", tone: "neutral", about: "more or larger GPUs" },
};

export function FitDialog(): ReactNode {
  const plan = usePlan((store) => store.plan);
  const { changes, error } = useChanges(plan);
  const nothing = changes && nothingOnThisCard(plan, changes);
  return (
    <Dialog
      title="What would make it fit"
      description="No choice of strategies alone is enough. Each of these is, with the best strategies for it; the smallest change first."
      width="wide"
      error={error}
    >
      {changes === undefined ? (
        error === undefined && <Skeleton rows={4} />
      ) : (
        <>
          {nothing !== undefined && <p className="plan-changes-none">{nothing}</p>}
          <ul className="plan-changes">
            {changes.map((change) => (
              <Change key={change.edits.map(({ label }) => label).join()} change={change} />
            ))}
          </ul>
        </>
      )}
    </Dialog>
  );
}

function Change({ change }: { readonly change: FittingChange }): ReactNode {
  const { edits, effect, prediction } = change;
  const { label, tone, about } = EFFECTS[effect];
  const words = capitalised(edits.map((edit) => edit.label).join(", "));
  return (
    <li className="plan-change">
      <div>
        <p className="plan-change-words">{words}</p>
        <p className="field-hint figures">
          peak {formatBytes(prediction.fullest.peakBytes)} of {formatBytes(prediction.capacityBytes)},{" "}
          {formatSeconds(stepSeconds(prediction))} a step
        </p>
      </div>
      <Chip tone={tone} title={about}>
        {label}
      </Chip>
      <Button
        aria-label={`Apply: ${words}`}
        onClick={() => {
          choosePlan(prediction.plan);
          closeDialog();
        }}
      >
        Apply
      </Button>
    </li>
  );
}

interface Answer {
  readonly changes?: readonly FittingChange[];
  readonly error?: TidelineErrorData;
}

/** Thousands of schedules are looked at: the dialog is drawn before. */
function useChanges(plan: Plan): Answer {
  const [answer, setAnswer] = useState<Answer>({});
  useEffect(() => {
    const timer = setTimeout(() => {
      try {
        setAnswer({ changes: changesThatFit(plan) });
      } catch (error) {
        setAnswer({ error: toErrorData(error) });
      }
    });
    return () => clearTimeout(timer);
  }, [plan]);
  return answer;
}
