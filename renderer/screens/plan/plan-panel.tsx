/** The plan itself: its name, where it comes from and goes to, and its fields. */
import { Redo2, Undo2 } from "lucide-react";
import { memo, type ReactNode } from "react";
import { useCommands } from "../../commands/use-commands.tsx";
import { CommandButton } from "../../components/button.tsx";
import { CommandMenu } from "../../components/menu.tsx";
import { editPlan, usePlan } from "../../state/plan.ts";
import { useProblem } from "./evaluation.ts";
import { WorkloadForm } from "./form/workload-form.tsx";
import "./plan-panel.css";

export const PlanPanel = memo(function PlanPanel(): ReactNode {
  const name = usePlan(({ plan }) => plan.name);
  const problem = useProblem("name");
  const commands = useCommands();
  const startingWith = (prefix: string) => commands.filter(({ id }) => id.startsWith(prefix));
  return (
    <section className="panel plan-panel" aria-label="Plan">
      <header className="panel-header plan-panel-header">
        <CommandMenu
          label="Presets"
          kind="quiet"
          heading="Plans to start from"
          commands={startingWith("plan.preset.")}
        />
        <CommandMenu label="Share" kind="quiet" commands={startingWith("plan.share.")} />
        <CommandMenu label="Beside" kind="quiet" commands={startingWith("plan.beside.")} />
        <span className="plan-panel-space" />
        <CommandButton id="plan.undo" kind="quiet" icon={Undo2} iconOnly />
        <CommandButton id="plan.redo" kind="quiet" icon={Redo2} iconOnly />
      </header>
      <div className="plan-name">
        <input
          className="input"
          type="text"
          aria-label="Name of the plan"
          spellCheck={false}
          autoComplete="off"
          value={name}
          title={name}
          aria-invalid={problem !== undefined || undefined}
          onChange={({ target }) => editPlan("name", (plan) => ({ ...plan, name: target.value }))}
        />
        {problem && <p className="plan-row-problem">{problem.message}</p>}
      </div>
      <WorkloadForm />
    </section>
  );
});
