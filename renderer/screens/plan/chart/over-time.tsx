/** One predicted step as a timeline, drawn by the component that draws what is measured. */
import { type ReactNode, useMemo, useState } from "react";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { timelineOf } from "../../../../core/planner/predict/timeline.ts";
import { Timeline } from "../../../timeline/timeline.tsx";
import { TimelineView } from "../../../timeline/view.ts";

export function OverTime({ prediction }: { readonly prediction: Prediction }): ReactNode {
  const [view] = useState(() => new TimelineView({ isLive: false }));
  const timeline = useMemo(() => timelineOf(prediction), [prediction]);
  return (
    <div className="plan-over-time">
      <Timeline timeline={timeline} view={view} />
    </div>
  );
}
