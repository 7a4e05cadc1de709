/** How long a phase took, split into its work and its memory actions: two bars on one scale, and the figures. */
import type { ReactNode } from "react";
import type { PhaseRecord } from "../../../../core/run/records.ts";
import { formatSeconds } from "../../../../core/units.ts";

export function TimeSplit(props: {
  readonly record: PhaseRecord | undefined;
  readonly longestSeconds: number;
}): ReactNode {
  const { record, longestSeconds } = props;
  if (record === undefined) return <span className="time-split" />;
  const { workSeconds, memorySeconds } = record;
  const share = (seconds: number) => `${longestSeconds === 0 ? 0 : Math.min(100, (100 * seconds) / longestSeconds)}%`;
  const words = `work ${formatSeconds(workSeconds)}, memory actions ${formatSeconds(memorySeconds)}`;
  return (
    <span className="time-split figures" title={words}>
      <span className="visually-hidden">{words}</span>
      <span className="time-split-bar" aria-hidden>
        <span data-part="work" style={{ width: share(workSeconds) }} />
        <span data-part="memory" style={{ width: share(memorySeconds) }} />
      </span>
      <span className="time-split-figure" aria-hidden>
        {workSeconds === 0 ? "—" : formatSeconds(workSeconds)}
      </span>
      <span className="time-split-figure" aria-hidden>
        {memorySeconds === 0 ? "—" : formatSeconds(memorySeconds)}
      </span>
    </span>
  );
}
