/** What the run has cost so far and what that saves, in two lines that are always in sight. */
import type { ReactNode } from "react";
import type { RunState } from "../../../../core/run/state.ts";
import { CommandButton } from "../../../components/button.tsx";
import { ownWords, savedWords } from "./savings-words.ts";
import "./savings-line.css";

export function SavingsLine({ run }: { readonly run: RunState }): ReactNode {
  const saved = savedWords(run.savings);
  return (
    <div className="savings-line figures">
      <div>
        <p>{ownWords(run.savings)}</p>
        <p className="savings-line-saved" data-known={saved !== undefined || undefined}>
          {saved ?? "what that saves is not measured"}
        </p>
      </div>
      {run.savings.baseline === undefined && <CommandButton id="run.measure_baseline" kind="plain" />}
    </div>
  );
}
