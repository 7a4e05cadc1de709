/** The timeline in words, for readers who do not see it; said politely, and not more often than one can listen. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { peakIn } from "../../core/timeline/peak.ts";
import { latestReading } from "../../core/timeline/readout.ts";
import { spanSeconds, type TimeWindow } from "../../core/timeline/time-scale.ts";
import type { Timeline } from "../../core/timeline/timeline.ts";
import { formatBytes, formatSeconds } from "../../core/units.ts";
import type { TimelineView } from "./view.ts";

const SAY_EVERY_MS = 15_000;

interface SummaryProps {
  readonly timeline: Timeline;
  readonly view: TimelineView;
}

export function TimelineSummary({ timeline, view }: SummaryProps): ReactNode {
  const [words, setWords] = useState("");
  const { samples } = timeline;
  const latest = useRef(timeline);
  useEffect(() => {
    latest.current = timeline;
  }, [timeline]);
  // Said anew for other samples, not for every action.
  useEffect(() => {
    const say = (): void => setWords(summaryOf({ ...latest.current, samples }, view.state.window));
    say();
    const timer = window.setInterval(say, SAY_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [samples, view]);
  return (
    <p className="timeline-offscreen" aria-live="polite">
      {words}
    </p>
  );
}

/** "61.2 GiB of 80.0 GiB used. In the visible 60.0 s the peak was 71.3 GiB, most of it policy.optimizer." */
export function summaryOf(timeline: Timeline, window: TimeWindow): string {
  const now = latestReading(timeline);
  if (now === undefined) return "No samples yet.";
  const used = `${formatBytes(now.usedBytes)} of ${formatBytes(now.totalBytes)} used.`;
  const peak = peakIn(timeline, window);
  if (peak === undefined) return used;
  const owner = peak.holders[0];
  const most = owner === undefined ? "" : `, most of it ${owner.consumer}`;
  return `${used} In the visible ${formatSeconds(spanSeconds(window))} the peak was ${formatBytes(peak.bytes)}${most}.`;
}
