/** What lies below the bars: reasons, residency, transitions, room to grow, differences. */
import { Tabs } from "@base-ui/react/tabs";
import type { ReactNode } from "react";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { PLAN_TABS, type PlanTab, setPreferences, usePreferences } from "../../../state/preferences.ts";
import { gpuIndex, phaseBars } from "../chart/bars.ts";
import type { Beside } from "../use-beside.ts";
import { Differences } from "./differences.tsx";
import { Residency } from "./residency.tsx";
import { Room } from "./room.tsx";
import { Terms } from "./terms.tsx";
import { Transitions } from "./transitions.tsx";
import "./detail-tabs.css";

const NAMES: Readonly<Record<PlanTab, string>> = {
  terms: "Why",
  residency: "Residency",
  transitions: "Transitions",
  room: "Room to grow",
  differences: "Differences",
};

export function DetailTabs(props: {
  readonly prediction: Prediction;
  readonly beside: Beside | undefined;
  readonly kind: string | undefined;
  readonly selected: Work;
}): ReactNode {
  const { prediction, beside, kind, selected } = props;
  const tab = usePreferences((preferences) => preferences.planTab);
  const phases = phaseBars(prediction, gpuIndex(prediction, kind), beside?.stacks);
  const shown = phases.find(({ work }) => work === selected) ?? phases[0];
  const workTerm = prediction.phases.find(({ work }) => work === shown?.work)?.workTerm;
  const contents: Readonly<Record<PlanTab, () => ReactNode>> = {
    terms: () => shown && workTerm && <Terms phase={shown} workTerm={workTerm} />,
    residency: () => <Residency prediction={prediction} selected={selected} />,
    transitions: () => <Transitions prediction={prediction} />,
    room: () => <Room prediction={prediction} />,
    differences: () => <Differences prediction={prediction} phases={phases} beside={beside} selected={selected} />,
  };
  return (
    <section className="panel" aria-label="The plan in detail">
      <Tabs.Root
        className="tabs-root"
        value={tab}
        onValueChange={(value: PlanTab) => setPreferences({ planTab: value })}
      >
        <Tabs.List className="tab-list" activateOnFocus>
          {PLAN_TABS.map((name) => (
            <Tabs.Tab key={name} value={name} className="tab">
              {NAMES[name]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {PLAN_TABS.map((name) => (
          <Tabs.Panel key={name} value={name} className="tab-panel">
            {name === tab && contents[name]()}
          </Tabs.Panel>
        ))}
      </Tabs.Root>
    </section>
  );
}
