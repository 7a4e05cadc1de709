/** Why a run stopped, and for want of memory: what was asked for, what was free, and who held the rest. */
import type { ReactNode } from "react";
import type { RunReport } from "../../../core/report/report.ts";
import { formatBytes, formatShare } from "../../../core/units.ts";
import { ConsumerName, Section, ShareBar, Table } from "./section.tsx";

export function Failure({ report: { ending, settings } }: { readonly report: RunReport }): ReactNode {
  if (ending.kind !== "failed") return undefined;
  const { place, error } = ending;
  const { message, hint, requestedBytes, freeBytes, holders = [] } = error;
  const capacityBytes = error.capacityBytes ?? settings.workload.capacityBytes;
  return (
    <Section id="failure" title="Why it stopped">
      <div className="failure">
        <p>
          <strong>{place}</strong>: {message}
        </p>
        {hint !== undefined && <p>{hint}</p>}
        {requestedBytes !== undefined && freeBytes !== undefined && (
          <p>
            Asked for {formatBytes(requestedBytes)}, free {formatBytes(freeBytes)} of {formatBytes(capacityBytes)}.
          </p>
        )}
      </div>
      {holders.length > 0 && (
        <Table
          caption="Who held memory when it ran out"
          columns={[
            { name: "Holder" },
            { name: "Bytes", isNumber: true },
            { name: "Of the capacity", isNumber: true },
            { name: "" },
          ]}
          rows={holders
            .toSorted((one, other) => other.bytes - one.bytes)
            .map(({ consumer, bytes }) => [
              <ConsumerName key="name" consumer={consumer} />,
              formatBytes(bytes),
              formatShare(bytes / capacityBytes),
              <ShareBar key="share" share={bytes / capacityBytes} />,
            ])}
        />
      )}
    </Section>
  );
}
