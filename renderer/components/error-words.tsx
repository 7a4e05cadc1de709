/** An error for people: what happened, what to do next, and the figures behind it on request. */
import type { ReactNode } from "react";
import type { TidelineErrorData } from "../../core/errors.ts";
import { formatBytes } from "../../core/units.ts";
import { capitalised } from "./capitalised.ts";
import { HolderList } from "./holder-list.tsx";
import { Words } from "./words.tsx";
import "./error-words.css";

export function ErrorWords({ error }: { readonly error: TidelineErrorData }): ReactNode {
  return (
    <div className="error-words">
      <p className="error-message">
        <Words text={error.message} />
      </p>
      {error.hint && (
        <p className="error-hint">
          <Words text={sentence(error.hint)} />
        </p>
      )}
      <ErrorDetails error={error} />
    </div>
  );
}

/** An error beside what caused it: in a dialog, in a list. */
export function ErrorBox({ error }: { readonly error: TidelineErrorData }): ReactNode {
  return (
    <div className="error-box" role="alert">
      <ErrorWords error={error} />
    </div>
  );
}

function ErrorDetails({ error }: { readonly error: TidelineErrorData }): ReactNode {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["code", error.code],
    ["asked", inBytes(error.requestedBytes)],
    ["free", inBytes(error.freeBytes)],
    ["capacity", inBytes(error.capacityBytes)],
    ["file", error.file],
    ["field", error.field],
    ["tensor", error.tensor],
  ];
  return (
    <details className="error-details" open={error.code === "out_of_memory"}>
      <summary>Details</summary>
      <dl className="facts figures">
        {facts.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name} className="error-fact">
                <dt>{name}</dt>
                <dd className="mono">{value}</dd>
              </div>
            ),
        )}
      </dl>
      {error.holders && error.holders.length > 0 && (
        <HolderList holders={error.holders} capacityBytes={error.capacityBytes} />
      )}
    </details>
  );
}

/** Hints come from several layers; on screen each is a sentence. */
function sentence(text: string): string {
  return capitalised(text) + (/[.!?]$/.test(text) ? "" : ".");
}

function inBytes(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : formatBytes(bytes);
}
