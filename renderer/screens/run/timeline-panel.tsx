/** The timeline of this session, as a picture or as a table, under its toolbar. */
import {
  ChartArea,
  Cpu,
  Maximize2,
  MoveVertical,
  Pause,
  Play,
  RotateCcw,
  Table2,
  Timer,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import { type ReactNode, useEffect, useMemo } from "react";
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { holdsConsumer } from "../../../core/run/placement.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../../core/schedule/works.ts";
import type { StackHeight } from "../../../core/timeline/stack.ts";
import type { Timeline as TimelineData } from "../../../core/timeline/timeline.ts";
import { CommandButton } from "../../components/button.tsx";
import { useActivity } from "../../state/activity.ts";
import { usePreferences } from "../../state/preferences.ts";
import { useRun } from "../../state/run.ts";
import { useSession } from "../../state/session.ts";
import { useTimeline } from "../../state/timeline.ts";
import { Timeline } from "../../timeline/timeline.tsx";
import { TimelineTable } from "../../timeline/timeline-table.tsx";
import { useViewState } from "../../timeline/use-view.ts";
import { liveView } from "./live-view.ts";
import { useRunPhases } from "./ppo/run-phases.ts";
import "./timeline-panel.css";

export function TimelinePanel(): ReactNode {
  const samples = useTimeline((store) => store.store);
  const hasSamples = useTimeline((store) => store.store.rows > 0);
  const actions = useShownActions();
  const shownAs = usePreferences((preferences) => preferences.timelineView);
  const phases = useRunPhases();
  useRunView();
  const timeline = useMemo((): TimelineData => ({ samples, actions, phases }), [samples, actions, phases]);
  return (
    <section className="panel timeline-panel" aria-labelledby="timeline-title">
      <header className="panel-header">
        <h2 className="panel-title" id="timeline-title">
          Timeline <Sampling />
        </h2>
        <Toolbar shownAs={shownAs} />
      </header>
      {!hasSamples ? (
        <p className="panel-empty">Waiting for the first samples…</p>
      ) : shownAs === "chart" ? (
        <div className="timeline-place">
          <Timeline timeline={timeline} view={liveView} />
        </div>
      ) : (
        <div className="timeline-place">
          <TimelineTable timeline={timeline} view={liveView} />
        </div>
      )}
    </section>
  );
}

/** What was done to memory of the device that is shown: all of it where there is one. */
function useShownActions(): readonly ActionRecord[] {
  const actions = useActivity((store) => store.actions);
  const devices = useSession((store) => store.session?.run?.devices);
  const shown = useTimeline((store) => store.device);
  return useMemo(() => {
    const device = devices?.find(({ name }, index) => (shown === undefined ? index === 0 : name === shown));
    if (devices === undefined || devices.length < 2 || device === undefined) return actions;
    return actions.filter(({ consumer }) => isScheduled(consumer) && holdsConsumer(device, consumer));
  }, [actions, devices, shown]);
}

function isScheduled(consumer: string | undefined): consumer is ScheduledConsumer {
  return SCHEDULED_CONSUMERS.some((name) => name === consumer);
}

/** Samples of the engine that closed for a run may still arrive when the run is there. */
const HANDOVER_SECONDS = 0.2;

/**
 * While there is a run its regions alone are shown, from its beginning: beside what the process itself takes, and what the
 * engine had before, a small run would hardly be seen.
 */
function useRunView(): void {
  const run = useSession((store) => store.session?.run?.id);
  // After a reload the samples come with the steps that say when the run began.
  const hasSamples = useTimeline((store) => store.store.rows > 0);
  useEffect(() => {
    if (run === undefined || !hasSamples) return;
    const { lastSeconds } = useTimeline.getState().store;
    const began = useRun.getState().steps[0]?.phases[0] ?? useSession.getState().session?.run?.phases[0];
    liveView.setHeight("regions");
    liveView.followSince(
      began?.startSeconds ?? (lastSeconds === undefined ? undefined : lastSeconds + HANDOVER_SECONDS),
    );
    return () => {
      liveView.setHeight("capacity");
      liveView.followSince(undefined);
    };
  }, [run, hasSamples]);
}

/** Missed samples are said where they are many enough to hide something; a busy machine misses a few. */
const WORTH_SAYING = 0.01;

/** How often memory is read, and what was lost: a gap is said, never hidden. */
function Sampling(): ReactNode {
  const hertz = useSession((store) => store.session?.samplingHertz);
  const lostPercent = useTimeline(({ store }) => {
    const lost = store.lostSamples / Math.max(1, store.lostSamples + store.endRow);
    return lost < WORTH_SAYING ? 0 : Math.round(100 * lost);
  });
  if (hertz === undefined) return undefined;
  return (
    <span className="timeline-sampling figures">
      {hertz} Hz
      {lostPercent > 0 && (
        <span
          className="timeline-lost"
          title={`${lostPercent}% of the samples were missed: the machine was too busy to read memory ${hertz} times a second. What was read is true; a peak between two samples may be missing. A lower rate in the device settings misses less.`}
        >
          {lostPercent}% missed
        </span>
      )}
    </span>
  );
}

const HEIGHTS: Readonly<Record<StackHeight, string>> = {
  capacity: "To capacity",
  data: "To data",
  regions: "Regions only",
};

function Toolbar({ shownAs }: { readonly shownAs: "chart" | "table" }): ReactNode {
  const { isFollowing, height, timeLabels } = useViewState(liveView, 200);
  const hasDevices = useSession((store) => (store.session?.otherDevices.length ?? 0) > 0);
  return (
    <div className="timeline-toolbar" role="toolbar" aria-label="Timeline">
      {hasDevices && (
        <>
          <CommandButton id="timeline.device" kind="plain" icon={Cpu} />
          <span className="toolbar-gap" />
        </>
      )}
      <CommandButton
        id="timeline.pause"
        kind="quiet"
        icon={isFollowing ? Pause : Play}
        label={isFollowing ? "Pause view" : "Follow"}
      />
      <span className="toolbar-gap" />
      <CommandButton id="timeline.zoom_out" kind="quiet" icon={ZoomOut} iconOnly />
      <CommandButton id="timeline.zoom_in" kind="quiet" icon={ZoomIn} iconOnly />
      <CommandButton id="timeline.fit" kind="quiet" icon={Maximize2} iconOnly />
      <CommandButton id="timeline.reset" kind="quiet" icon={RotateCcw} iconOnly />
      <span className="toolbar-gap" />
      <CommandButton id="timeline.height" kind="quiet" icon={MoveVertical} label={HEIGHTS[height]} />
      <CommandButton
        id="timeline.time_labels"
        kind="quiet"
        icon={Timer}
        label={timeLabels === "relative" ? "Since start" : "Clock"}
        iconOnly={hasDevices}
      />
      <CommandButton id="timeline.view" kind="quiet" icon={shownAs === "chart" ? Table2 : ChartArea} />
    </div>
  );
}
