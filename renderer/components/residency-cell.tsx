/** Where a consumer is in one phase, as a cell of a table. Words and edges say it; the consumer's colour only helps. */
import type { CSSProperties, ReactNode } from "react";
import type { ResidencyCell } from "../../core/schedule/check.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import { consumerColour } from "../../core/timeline/consumer-colours.ts";
import { useColourScheme } from "../theme/apply-theme.ts";
import "./residency-cell.css";

export function ResidencyTableCell(props: {
  readonly consumer: ScheduledConsumer;
  readonly cell: ResidencyCell;
  readonly isCurrent: boolean;
}): ReactNode {
  const { consumer, cell, isCurrent } = props;
  const scheme = useColourScheme();
  const { text, title } = cellWords(cell);
  return (
    <td
      className="residency-cell"
      data-current={isCurrent || undefined}
      data-place={placeOf(cell)}
      title={`${consumer}: ${title}`}
    >
      <span style={{ "--consumer": consumerColour(consumer, scheme) } as CSSProperties}>{text}</span>
    </td>
  );
}

/** `used` is resident and needed by the phase; `idle` only takes room. */
function placeOf({ residency, use }: ResidencyCell): "used" | "idle" | "away" | "none" {
  switch (residency) {
    case "resident":
    case "shared":
      return use === "none" ? "idle" : "used";
    case "host":
    case "disk":
      return "away";
    case "released":
      return "none";
  }
}

function cellWords({ residency, use }: ResidencyCell): { readonly text: string; readonly title: string } {
  switch (residency) {
    case "resident":
      return IN_USE[use];
    case "shared":
      return { text: "shared", title: "reads the policy's bytes" };
    case "released":
      return { text: "–", title: "released" };
    case "host":
    case "disk":
      return { text: residency, title: `its contents are on ${residency}` };
  }
}

const IN_USE: Readonly<Record<ResidencyCell["use"], { readonly text: string; readonly title: string }>> = {
  none: { text: "idle", title: "resident, and not used in this phase" },
  read: { text: "read", title: "resident, and read" },
  written: { text: "write", title: "resident, and written" },
  scratch: { text: "scratch", title: "resident, as scratch memory" },
};
