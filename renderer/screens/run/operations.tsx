/** Long work under way: how far it is, and a way to stop it. */
import type { ReactNode } from "react";
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
        const text =
          operation.totalBytes === 0
            ? "starting"
            : `${formatBytes(operation.doneBytes)} of ${formatBytes(operation.totalBytes)}`;
        return (
          <div key={operation.id} className="operation">
            <div className="operation-words">
              <span className="operation-label">{operation.label}</span>
              <span className="operation-figures figures">{text}</span>
            </div>
            <Meter
              label={operation.label}
              totalBytes={operation.totalBytes}
              text={text}
              parts={[{ bytes: operation.doneBytes, colour: "var(--accent)" }]}
            />
            <CommandButton id={`operation.cancel.${operation.id}`} kind="quiet" />
          </div>
        );
      })}
    </section>
  );
}
