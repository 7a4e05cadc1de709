/** An error for people: what happened, what to do next, and the figures behind it on request. */
import type { ReactNode } from "react";
import type { TidelineErrorData } from "../../core/errors.ts";
import { consumerColour } from "../../core/timeline/consumer-colours.ts";
import { formatBytes } from "../../core/units.ts";
import { useColourScheme } from "../theme/apply-theme.ts";
import { capitalised } from "./capitalised.ts";
import { Meter } from "./meter.tsx";
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
      {error.holders && error.holders.length > 0 && <Holders error={error} />}
    </details>
  );
}

function Holders({ error }: { readonly error: TidelineErrorData }): ReactNode {
  const scheme = useColourScheme();
  const holders = error.holders ?? [];
  const totalBytes = error.capacityBytes ?? holders.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <>
      <p className="error-holders-title">Who holds what</p>
      <ul className="error-holders figures">
        {[...holders]
          .sort((a, b) => b.bytes - a.bytes)
          .map(({ consumer, bytes }) => (
            <li key={consumer}>
              <span>{consumer}</span>
              <Meter
                label={consumer}
                totalBytes={totalBytes}
                text={formatBytes(bytes)}
                parts={[{ bytes, colour: consumerColour(consumer, scheme) }]}
              />
              <span>{formatBytes(bytes)}</span>
            </li>
          ))}
      </ul>
    </>
  );
}

/** Hints come from several layers; on screen each is a sentence. */
function sentence(text: string): string {
  return capitalised(text) + (/[.!?]$/.test(text) ? "" : ".");
}

function inBytes(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : formatBytes(bytes);
}
