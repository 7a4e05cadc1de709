/** The window: top bar, screen, and what opens in front of it. */
import { CSPProvider } from "@base-ui/react/csp-provider";
import type { ReactNode } from "react";
import { CommandsProvider } from "./commands/use-commands.tsx";
import { TooltipProvider } from "./components/tooltip.tsx";
import type { Client } from "./door/client.ts";
import { useTimelineCommands } from "./screens/run/live-view.ts";
import { RunScreen } from "./screens/run/run-screen.tsx";
import { Dialogs } from "./shell/dialogs.tsx";
import { DropTarget } from "./shell/drop-target.tsx";
import { Notices } from "./shell/notices.tsx";
import { TopBar } from "./shell/top-bar.tsx";
import "./app.css";

export function App({ client }: { readonly client: Client }): ReactNode {
  return (
    // The page's policy allows no inline styles; what those would say is in our own style sheets.
    <CSPProvider disableStyleElements>
      <TooltipProvider delay={500}>
        <CommandsProvider client={client} timeline={useTimelineCommands()}>
          <div className="app">
            <TopBar />
            <RunScreen />
          </div>
          <Dialogs />
          <Notices />
          <DropTarget />
        </CommandsProvider>
      </TooltipProvider>
    </CSPProvider>
  );
}
