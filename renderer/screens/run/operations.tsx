/** Long work under way: how far it is, and a way to stop it. */
import type { ReactNode } from "react";
import type { OperationState } from "../../../core/contract/state.ts";
import { formatBytes } from "../../../core/units.ts";
import { CommandButton } from "../../components/button.tsx";
import { Meter } from "../../components/meter.tsx";
import { useSession } from "../../state/session.ts";
import "./operations.css";

export function Operations(): ReactNode {
  const operations = useSession((store) => store.session?.operations);
  if (operations === undefined || operations.length === 0) return undefined;
  return (
    <section className="panel operations" aria-label="Operations under way" aria-live="polite">
      {operations.map((operation) => {
        const { text, done, total } = progressOf(operation);
        return (
          <div key={operation.id} className="operation">
            <div className="operation-words">
              <span className="operation-label">{operation.label}</span>
              <span className="operation-figures figures">{text}</span>
            </div>
            <Meter
              label={operation.label}
              totalBytes={total}
              text={text}
              parts={[{ bytes: done, colour: "var(--accent)" }]}
            />
            <CommandButton id={`operation.cancel.${operation.id}`} kind="quiet" />
          </div>
        );
      })}
    </section>
  );
}

/** In PPO steps, or in bytes. */
function progressOf({ steps, doneBytes, totalBytes }: OperationState): {
  readonly text: string;
  readonly done: number;
  readonly total: number;
} {
  if (steps !== undefined) return { ...steps, text: `${steps.done} of ${steps.total} steps` };
  if (totalBytes === 0) return { text: "starting", done: 0, total: 0 };
  return { text: `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`, done: doneBytes, total: totalBytes };
}
