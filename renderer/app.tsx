/** The window: top bar, screen, and what opens in front of it. */
import { CSPProvider } from "@base-ui/react/csp-provider";
import type { ReactNode } from "react";
import type { Command } from "./commands/command.ts";
import { usePlanCommands } from "./commands/plan-commands.ts";
import { CommandsProvider } from "./commands/use-commands.tsx";
import { TooltipProvider } from "./components/tooltip.tsx";
import type { Client } from "./door/client.ts";
import { PlanScreen } from "./screens/plan/plan-screen.tsx";
import { useTimelineCommands } from "./screens/run/live-view.ts";
import { RunScreen } from "./screens/run/run-screen.tsx";
import { Dialogs } from "./shell/dialogs.tsx";
import { DropTarget } from "./shell/drop-target.tsx";
import { Notices } from "./shell/notices.tsx";
import { TopBar } from "./shell/top-bar.tsx";
import { usePreferences } from "./state/preferences.ts";
import "./app.css";

export function App({ client }: { readonly client: Client }): ReactNode {
  const screen = usePreferences((preferences) => preferences.screen);
  return (
    // The page's policy allows no inline styles; what those would say is in our own style sheets.
    <CSPProvider disableStyleElements>
      <TooltipProvider delay={500}>
        <CommandsProvider client={client} ofScreen={useScreenCommands(client)}>
          <div className="app">
            <TopBar />
            {screen === "run" ? <RunScreen /> : <PlanScreen />}
          </div>
          <Dialogs />
          <Notices />
          <DropTarget />
        </CommandsProvider>
      </TooltipProvider>
    </CSPProvider>
  );
}

/** Commands of the screen on show. */
function useScreenCommands(client: Client): readonly Command[] {
  const screen = usePreferences((preferences) => preferences.screen);
  const timeline = useTimelineCommands();
  const plan = usePlanCommands(client);
  return screen === "run" ? timeline : plan;
}
