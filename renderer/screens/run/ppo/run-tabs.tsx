/** What lies below the timeline during a run: memory by phase, what was learned, rollouts, savings, actions. */
import { Tabs } from "@base-ui/react/tabs";
import type { ReactNode } from "react";
import type { RunState } from "../../../../core/run/state.ts";
import { RUN_TABS, type RunTab, setPreferences, usePreferences } from "../../../state/preferences.ts";
import { ActionRows } from "../action-log.tsx";
import { Learning } from "./learning.tsx";
import { MemoryMatrix } from "./memory-matrix.tsx";
import { Rollouts } from "./rollouts.tsx";
import { SavingsTable } from "./savings-table.tsx";
import "../../../components/tabs.css";

const NAMES: Readonly<Record<RunTab, string>> = {
  memory: "Memory",
  learning: "Learning",
  rollouts: "Rollouts",
  savings: "Savings",
  actions: "Actions",
};

export function RunTabs({ run }: { readonly run: RunState }): ReactNode {
  const tab = usePreferences((preferences) => preferences.runTab);
  const contents: Readonly<Record<RunTab, () => ReactNode>> = {
    memory: () => <MemoryMatrix run={run} />,
    learning: () => <Learning />,
    rollouts: () => <Rollouts />,
    savings: () => <SavingsTable run={run} />,
    actions: () => <ActionRows />,
  };
  return (
    <section className="panel run-tabs" aria-label="The run in detail">
      <Tabs.Root className="tabs-root" value={tab} onValueChange={(value: RunTab) => setPreferences({ runTab: value })}>
        <Tabs.List className="tab-list" activateOnFocus>
          {RUN_TABS.map((name) => (
            <Tabs.Tab key={name} value={name} className="tab">
              {NAMES[name]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {RUN_TABS.map((name) => (
          <Tabs.Panel key={name} value={name} className="tab-panel">
            {contents[name]()}
          </Tabs.Panel>
        ))}
      </Tabs.Root>
    </section>
  );
}
