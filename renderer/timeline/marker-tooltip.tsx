/** What an action did, beside its marker: bytes freed or mapped, milliseconds, and for a failed one why. */
import type { ReactNode } from "react";
import type { ActionRecord } from "../../core/contract/timeline.ts";
import type { Marker } from "../../core/timeline/markers.ts";
import { formatBytes, formatSeconds } from "../../core/units.ts";
import type { Geometry } from "./canvas/geometry.ts";
import { Swatch } from "./swatch.tsx";

const MOST_SHOWN = 6;

export function MarkerTooltip({
  marker,
  geometry,
}: {
  readonly marker: Marker;
  readonly geometry: Geometry;
}): ReactNode {
  const isOnRight = marker.px > geometry.plot.width / 2;
  const x = geometry.plot.x + marker.px;
  const place = isOnRight ? { right: geometry.width - x + 4 } : { left: x + 4 };
  const hidden = marker.actions.length - MOST_SHOWN;
  return (
    <div className="timeline-tooltip figures" role="tooltip" style={{ ...place, top: geometry.plot.y + 4 }}>
      {marker.actions.slice(0, MOST_SHOWN).map((action) => (
        <ActionWords key={action.id} action={action} />
      ))}
      {hidden > 0 && <p className="timeline-soft">and {hidden} more: zoom in to see them</p>}
    </div>
  );
}

function ActionWords({ action }: { readonly action: ActionRecord }): ReactNode {
  return (
    <div className="timeline-tooltip-action" data-failed={action.error !== undefined || undefined}>
      <p>
        {action.consumer && <Swatch consumer={action.consumer} />}
        <b>{action.label}</b>
        <span>{formatSeconds(action.milliseconds / 1000)}</span>
      </p>
      {action.receipt && <p className="timeline-soft">{receiptWords(action.receipt)}</p>}
      {action.error && <p className="timeline-failure">{action.error.message}</p>}
      {action.error?.hint && <p className="timeline-soft">{action.error.hint}</p>}
    </div>
  );
}

function receiptWords(receipt: NonNullable<ActionRecord["receipt"]>): string {
  const { bytesFreed, bytesRetained, bytesCommitted, bytesCopied } = receipt;
  const parts = [
    bytesFreed > 0 && `${formatBytes(bytesFreed)} freed`,
    bytesRetained > 0 && `${formatBytes(bytesRetained)} kept in the pool`,
    bytesCommitted > 0 && `${formatBytes(bytesCommitted)} mapped`,
    bytesCopied > 0 && `${formatBytes(bytesCopied)} copied`,
  ].filter((part) => part !== false);
  return parts.length > 0 ? parts.join(" · ") : "no bytes moved";
}
