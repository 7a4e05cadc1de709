/** Opens a plan from the line of text that somebody shared. */
import { ClipboardPaste } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { type TidelineErrorData, toErrorData } from "../../../../core/errors.ts";
import type { Plan } from "../../../../core/planner/plan.ts";
import { planFromLine } from "../../../../core/planner/share.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { choosePlan } from "../../../state/plan.ts";
import { closeDialog } from "../../../state/view.ts";
import { predictionOf } from "../evaluation.ts";

type Read = { readonly plan: Plan } | { readonly error: TidelineErrorData };

export function PasteDialog(): ReactNode {
  const id = useId();
  const [text, setText] = useState("");
  const read = text.trim() === "" ? undefined : planOf(text);
  const plan = read !== undefined && "plan" in read ? read.plan : undefined;
  return (
    <Dialog
      title="Paste a plan"
      description="The line begins with tideline-plan-1 and carries the whole plan."
      width="wide"
      error={read !== undefined && "error" in read ? read.error : undefined}
      onSubmit={() => {
        if (plan === undefined) return;
        choosePlan(plan);
        closeDialog();
      }}
      actions={
        <Button kind="primary" type="submit" icon={ClipboardPaste} disabled={plan === undefined}>
          Open plan
        </Button>
      }
    >
      <div className="field">
        <label htmlFor={id}>Line of text</label>
        <textarea
          id={id}
          className="input mono"
          rows={5}
          spellCheck={false}
          autoFocus
          placeholder="tideline-plan-1.…"
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
      </div>
      {plan && (
        <p className="field-hint" role="status">
          {plan.name}: {predictionOf(plan)?.verdict ?? "cannot be predicted"}
        </p>
      )}
    </Dialog>
  );
}

function planOf(text: string): Read {
  try {
    return { plan: planFromLine(text) };
  } catch (error) {
    return { error: toErrorData(error) };
  }
}
