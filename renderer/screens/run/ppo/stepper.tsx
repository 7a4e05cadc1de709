/** The stepper: how far to go, and back. Every button shows its key. */
import { Ban, Gauge, Pause, Play, RotateCw, Undo2 } from "lucide-react";
import type { ReactNode } from "react";
import type { RunState } from "../../../../core/run/state.ts";
import { PACES } from "../../../commands/run-commands.ts";
import { useCommand, useCommands } from "../../../commands/use-commands.tsx";
import { CommandButton } from "../../../components/button.tsx";
import { Kbd } from "../../../components/kbd.tsx";
import { CommandMenu } from "../../../components/menu.tsx";
import "./stepper.css";

export function Stepper({ run }: { readonly run: RunState }): ReactNode {
  const commands = useCommands();
  const { status } = run.cursor.run;
  const isGoing = status === "running" || status === "cancelling";
  const pace =
    PACES.find(({ itemSeconds }) => itemSeconds === run.itemSeconds)?.label ?? `${run.itemSeconds} s an item`;
  return (
    <div className="stepper" role="toolbar" aria-label="Stepper">
      <div className="stepper-goals">
        {["run.next_action", "run.next_phase", "run.next_step"].map((id) => (
          <WithKey key={id} id={id}>
            <CommandButton id={id} />
          </WithKey>
        ))}
        <WithKey id="run.play">
          <CommandButton id="run.play" kind={status === "failed" ? "plain" : "primary"} icon={isGoing ? Pause : Play} />
        </WithKey>
      </div>
      <div className="stepper-more">
        <CommandMenu
          label={pace}
          description={`Pace: ${pace}`}
          icon={Gauge}
          kind="quiet"
          commands={commands.filter(({ id }) => id.startsWith("run.pace."))}
          heading="While playing, each action and work takes at least"
        />
        <span className="stepper-space" />
        <CommandButton id="run.undo" kind="quiet" icon={Undo2} />
        <CommandButton id="run.retry" kind="quiet" icon={RotateCw} />
        <CommandButton id="run.cancel" kind="quiet" icon={Ban} />
      </div>
    </div>
  );
}

function WithKey({ id, children }: { readonly id: string; readonly children: ReactNode }): ReactNode {
  const chord = useCommand(id)?.keys?.[0];
  return (
    <div className="stepper-goal">
      {children}
      {chord && (
        <span aria-hidden>
          <Kbd chord={chord} />
        </span>
      )}
    </div>
  );
}
