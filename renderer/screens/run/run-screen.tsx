/**
 * The Run screen: the timeline, and around it what has the device. That is the engine (with its generation, its consumers
 * and what was done), or a PPO run (with its stepper and schedule, and what is to be seen of it).
 */
import { type ReactNode, useRef } from "react";
import { Splitter } from "../../components/splitter.tsx";
import { setPreferences, usePreferences } from "../../state/preferences.ts";
import { useSession } from "../../state/session.ts";
import { ActionLog } from "./action-log.tsx";
import { ConsumerList } from "./consumer-list.tsx";
import { EnginePanel } from "./engine-panel.tsx";
import { GenerationPanel } from "./generation-panel.tsx";
import { Operations } from "./operations.tsx";
import { RunPanel } from "./ppo/run-panel.tsx";
import { RunTabs } from "./ppo/run-tabs.tsx";
import { SchedulePanel } from "./ppo/schedule-panel.tsx";
import { TimelinePanel } from "./timeline-panel.tsx";
import "./run-screen.css";

export function RunScreen(): ReactNode {
  const { sideWidthPx, timelineShare } = usePreferences();
  const run = useSession((store) => store.session?.run);
  const screen = useRef<HTMLElement>(null);
  const main = useRef<HTMLDivElement>(null);
  return (
    <main
      ref={screen}
      className="run-screen"
      style={{ gridTemplateColumns: `minmax(0, 1fr) 8px minmax(0, ${sideWidthPx}px)` }}
    >
      <div
        ref={main}
        className="run-main"
        style={{ gridTemplateRows: `minmax(0, ${timelineShare}fr) 8px minmax(0, ${1 - timelineShare}fr)` }}
      >
        <TimelinePanel />
        <Splitter
          label="Height of the timeline"
          orientation="horizontal"
          value={timelineShare}
          min={0.25}
          max={0.8}
          step={0.02}
          fromPointer={({ clientY }) => {
            const box = main.current?.getBoundingClientRect();
            return box === undefined ? timelineShare : (clientY - box.top) / box.height;
          }}
          onValue={(value) => setPreferences({ timelineShare: value })}
        />
        {run === undefined ? <GenerationPanel /> : <RunTabs run={run} />}
      </div>
      <Splitter
        label="Width of the side column"
        orientation="vertical"
        value={sideWidthPx}
        min={320}
        max={800}
        step={16}
        reversed
        fromPointer={({ clientX }) => {
          const box = screen.current?.getBoundingClientRect();
          return box === undefined ? sideWidthPx : box.right - clientX;
        }}
        onValue={(value) => setPreferences({ sideWidthPx: value })}
      />
      <div className="run-side">
        {run === undefined ? (
          <>
            <EnginePanel />
            <Operations />
            <ConsumerList />
            <ActionLog />
          </>
        ) : (
          <>
            <RunPanel run={run} />
            <Operations />
            <SchedulePanel run={run} />
          </>
        )}
      </div>
    </main>
  );
}
