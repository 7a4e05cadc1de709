/**
 * One predicted step as a timeline, drawn by the component that draws what is measured; over it lie the samples of a run of
 * this plan, phase by phase on the plan's clock, and below it the words for who cannot see the line.
 */
import { type ReactNode, useMemo, useState } from "react";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { timelineOf } from "../../../../core/planner/predict/timeline.ts";
import { outlineOver } from "../../../../core/timeline/outline.ts";
import { TimelineStore } from "../../../../core/timeline/store.ts";
import { formatBytes } from "../../../../core/units.ts";
import { samplesOf, useTimeline } from "../../../state/timeline.ts";
import { Timeline } from "../../../timeline/timeline.tsx";
import { TimelineView } from "../../../timeline/view.ts";
import type { Measured } from "../measured.ts";

interface OverTimeProps {
  readonly prediction: Prediction;
  readonly measured: Measured | undefined;
}

export function OverTime({ prediction, measured }: OverTimeProps): ReactNode {
  const [view] = useState(() => new TimelineView({ isLive: false }));
  const predicted = useMemo(() => timelineOf(prediction), [prediction]);
  const samples = useSamplesOf(measured);
  const timeline = useMemo(() => {
    if (measured === undefined) return predicted;
    const phases = measured.phases.map(({ work, startSeconds, endSeconds, peakBytes }) => ({
      name: work,
      own: { startSeconds, endSeconds },
      peakBytes,
    }));
    return { ...predicted, over: outlineOver(predicted.phases, phases, samples) };
  }, [predicted, measured, samples]);
  return (
    <div className="plan-over-time">
      <Timeline timeline={timeline} view={view} />
      {measured !== undefined && <p className="timeline-offscreen">{wordsOf(prediction, measured)}</p>}
    </div>
  );
}

const NO_SAMPLES = new TimelineStore();

/** This session's samples, once they reach to the end of what was measured: they come a little later than it. */
function useSamplesOf(measured: Measured | undefined): TimelineStore {
  const endSeconds = measured?.phases.at(-1)?.endSeconds ?? Number.POSITIVE_INFINITY;
  const device = measured?.device;
  return useTimeline(() => {
    const store = samplesOf(device);
    return (store.lastSeconds ?? 0) >= endSeconds ? store : NO_SAMPLES;
  });
}

/** "Measured over predicted in step 3: rollout 8.2 MiB of 8.2 MiB, …" */
function wordsOf({ phases, gpus, fullest }: Prediction, measured: Measured): string {
  const index = gpus.indexOf(fullest);
  const peaks = measured.phases.map(({ work, peakBytes }) => {
    const predicted = phases.find((phase) => phase.work === work)?.peaks[index]?.bytes;
    return `${work} ${formatBytes(peakBytes)}${predicted === undefined ? "" : ` of ${formatBytes(predicted)}`}`;
  });
  return `Measured of predicted in step ${measured.step}: ${peaks.join(", ")}.`;
}
