/** The visible window as a table: the same figures as the picture, for screen readers and for copying. */
import { type ReactNode, useEffect, useState } from "react";
import { tableOf, tableToCsv } from "../../core/timeline/table.ts";
import { formatClock, formatRelative } from "../../core/timeline/ticks.ts";
import type { Timeline } from "../../core/timeline/timeline.ts";
import { formatBytes } from "../../core/units.ts";
import { TimelineSummary } from "./summary.tsx";
import { Swatch } from "./swatch.tsx";
import { usePulse, useViewState } from "./use-view.ts";
import type { TimelineView } from "./view.ts";
import "./timeline.css";

const ROWS = 40;
const REFRESH_MS = 1000;

interface TimelineTableProps {
  readonly timeline: Timeline;
  readonly view: TimelineView;
}

export function TimelineTable({ timeline, view }: TimelineTableProps): ReactNode {
  useEffect(() => view.attach(timeline), [view, timeline]);
  const state = useViewState(view, REFRESH_MS);
  usePulse(REFRESH_MS, view.isLive && state.isFollowing);
  const [copied, setCopied] = useState<"yes" | "refused">();
  // While it follows, the picture's loop is not there to move the window: the newest sample is its end.
  const newest = timeline.samples.lastSeconds;
  const shift = state.isFollowing && newest !== undefined ? newest - state.window.endSeconds : 0;
  const startSeconds = state.window.startSeconds + shift;
  const endSeconds = state.window.endSeconds + shift;
  // Rows are for what was recorded: a short recording gets finer rows, not empty ones.
  const first = timeline.samples.firstSeconds;
  const window =
    first !== undefined && first < endSeconds
      ? { startSeconds: Math.max(startSeconds, first), endSeconds }
      : { startSeconds, endSeconds };
  const table = tableOf(timeline, window, ROWS);
  const origin = timeline.samples.originSeconds ?? 0;
  const stepSeconds = (window.endSeconds - window.startSeconds) / ROWS / 2;
  const time = (seconds: number): string =>
    state.timeLabels === "clock" ? formatClock(seconds, stepSeconds) : formatRelative(seconds - origin, stepSeconds);

  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(tableToCsv(table));
      setCopied("yes");
    } catch {
      setCopied("refused");
    }
  };

  return (
    <section className="timeline-table-place" aria-label="Memory timeline as a table">
      <div className="timeline-table-bar">
        <span className="timeline-soft">
          {ROWS} rows of the visible window; bytes are the highest committed in each row.
        </span>
        <span aria-live="polite" className="timeline-soft">
          {copied === "yes" && "Copied."}
          {copied === "refused" && "The clipboard is not allowed here."}
        </span>
        <button type="button" className="timeline-chip" onClick={() => void copy()}>
          Copy as CSV
        </button>
      </div>
      <div className="timeline-table-scroll">
        <table className="timeline-table figures">
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Used</th>
              {table.consumers.map((consumer) => (
                <th scope="col" key={consumer}>
                  <Swatch consumer={consumer} /> {consumer}
                </th>
              ))}
              <th scope="col">Actions</th>
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row) => (
              <tr key={row.startSeconds}>
                <th scope="row">{time(row.startSeconds)}</th>
                <td>{row.used === undefined ? "no samples" : formatBytes(row.used.maxBytes)}</td>
                {row.committedBytes.map((bytes, column) => (
                  <td key={table.consumers[column]} data-empty={bytes === 0 || undefined}>
                    {bytes > 0 ? formatBytes(bytes) : row.used === undefined ? "" : "—"}
                  </td>
                ))}
                <td className="timeline-table-actions">{row.actions.join(", ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <TimelineSummary timeline={timeline} view={view} />
    </section>
  );
}
