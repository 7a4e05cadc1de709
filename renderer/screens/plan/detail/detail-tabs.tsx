/** What lies below the bars: reasons, residency, transitions, room to grow, differences. */
import { Tabs } from "@base-ui/react/tabs";
import { createContext, memo, type ReactNode, useContext, useMemo } from "react";
import { assertNever } from "../../../../core/errors.ts";
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

interface Detailed {
  readonly prediction: Prediction;
  readonly beside: Beside | undefined;
  readonly kind: string | undefined;
  readonly selected: Work;
}

/** For what is inside of the tabs, which themselves are not drawn anew with every number. */
const DetailedContext = createContext<Detailed | undefined>(undefined);

export function DetailTabs({ prediction, beside, kind, selected }: Detailed): ReactNode {
  const detailed = useMemo(() => ({ prediction, beside, kind, selected }), [prediction, beside, kind, selected]);
  return (
    <DetailedContext value={detailed}>
      <NamedTabs />
    </DetailedContext>
  );
}

const NamedTabs = memo(function NamedTabs(): ReactNode {
  const tab = usePreferences((preferences) => preferences.planTab);
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
            {name === tab && <TabContents name={name} />}
          </Tabs.Panel>
        ))}
      </Tabs.Root>
    </section>
  );
});

function TabContents({ name }: { readonly name: PlanTab }): ReactNode {
  const detailed = useContext(DetailedContext);
  if (detailed === undefined) return undefined;
  const { prediction, beside, kind, selected } = detailed;
  const phases = phaseBars(prediction, gpuIndex(prediction, kind), beside?.stacks);
  const shown = phases.find(({ work }) => work === selected) ?? phases[0];
  const workTerm = prediction.phases.find(({ work }) => work === shown?.work)?.workTerm;
  switch (name) {
    case "terms":
      return shown && workTerm && <Terms phase={shown} workTerm={workTerm} />;
    case "residency":
      return <Residency prediction={prediction} selected={selected} />;
    case "transitions":
      return <Transitions prediction={prediction} />;
    case "room":
      return <Room prediction={prediction} />;
    case "differences":
      return <Differences prediction={prediction} phases={phases} beside={beside} selected={selected} />;
    default:
      return assertNever(name);
  }
}
