/** Opens a PPO run: which workload, on how much memory, under which schedule. */
import { Play } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { type TidelineErrorData, toErrorData } from "../../../../../core/errors.ts";
import { HOST } from "../../../../../core/planner/gpus/catalogue.ts";
import type { WorkloadSummary } from "../../../../../core/run/state.ts";
import { buildSchedule } from "../../../../../core/schedule/build.ts";
import { formatSchedule } from "../../../../../core/schedule/file.ts";
import { formatBytes } from "../../../../../core/units.ts";
import { useClient } from "../../../../commands/use-commands.tsx";
import { Button } from "../../../../components/button.tsx";
import { Dialog } from "../../../../components/dialog.tsx";
import { NumberField, Segmented, TextField } from "../../../../components/field.tsx";
import { Skeleton } from "../../../../components/skeleton.tsx";
import {
  capacityProblem,
  deviceCapacityProblem,
  editRun,
  planOf,
  type RunDraft,
  requestOf,
  seedProblem,
  useRunDraft,
  type WorkloadQuestion,
  workloadOf,
} from "../../../../state/run-draft.ts";
import { useSession } from "../../../../state/session.ts";
import { useDialogRequest } from "../../../../state/use-request.ts";
import { PlacementForm } from "./placement-form.tsx";
import { RoleFolders } from "./role-folders.tsx";
import { SchedulePreview } from "./schedule-preview.tsx";
import { StrategyForm } from "./strategy-form.tsx";
import { WorkloadFacts } from "./workload-facts.tsx";
import "./open-run-dialog.css";

export function OpenRunDialog(): ReactNode {
  const client = useClient();
  const draft = useRunDraft();
  const { workload, problem, isCurrent } = useWorkload(draft);
  const { busy, error, submit } = useDialogRequest("Open a PPO run");
  const ownDevice = useSession((store) => store.session?.device.name);
  const plan = workload && planOf(draft, workload, ownDevice);
  const isRead = isCurrent && problem === undefined;
  const capacitiesAreRight = Object.keys(draft.deviceCapacities).every(
    (device) => deviceCapacityProblem(draft, device) === undefined,
  );
  const isValid =
    isRead &&
    plan?.ok &&
    capacityProblem(draft) === undefined &&
    capacitiesAreRight &&
    seedProblem(draft) === undefined;
  return (
    <Dialog
      title="Open a PPO run"
      description="The loop gets the device; the engine closes until the run ends."
      width="full"
      error={error ?? problem}
      onSubmit={() => isValid && void submit(() => client.request("open_run", requestOf(draft, plan.schedule)))}
      actions={
        <Button kind="primary" type="submit" icon={Play} busy={busy} disabled={isValid !== true || busy}>
          Open run
        </Button>
      }
    >
      <div className="open-run">
        <div className="open-run-column">
          <Workload draft={draft} workload={workload} isFailed={problem !== undefined} />
          {workload && <Memory draft={draft} workload={workload} />}
          {workload && <PlacementForm draft={draft} workload={workload} />}
          <RoleFolders
            folders={draft.checkpoints}
            workload={workload}
            onFolders={(checkpoints) => editRun({ checkpoints })}
          />
          {plan && <SchedulePreview plan={plan} />}
        </div>
        <div className="open-run-column">
          <ScheduleForm draft={draft} workload={workload} />
        </div>
      </div>
    </Dialog>
  );
}

function Workload(props: {
  readonly draft: RunDraft;
  readonly workload: WorkloadSummary | undefined;
  readonly isFailed: boolean;
}): ReactNode {
  const { draft, workload, isFailed } = props;
  return (
    <>
      <Segmented
        legend="Workload"
        value={draft.workload}
        choices={[
          { value: "demo", label: "Demo" },
          { value: "file", label: "File" },
        ]}
        onValue={(choice) => editRun({ workload: choice })}
      />
      {draft.workload === "file" && (
        <TextField
          label="Workload file on the machine that runs Tideline"
          className="mono"
          placeholder="/path/to/workload.json"
          hint="Sizes, folders and precisions as JSON, such as those in assets/real-sizes."
          value={draft.path}
          onChange={({ target }) => editRun({ path: target.value })}
        />
      )}
      {workload && <WorkloadFacts workload={workload} />}
      {!workload && !isFailed && draft.workload === "demo" && <Skeleton rows={3} />}
    </>
  );
}

function Memory({ draft, workload }: { readonly draft: RunDraft; readonly workload: WorkloadSummary }): ReactNode {
  // A GPU's memory comes in pieces of which the demo's regions fill little: sizes of the host mean nothing there.
  const isOnHost = useSession((store) => store.session?.device.name === HOST);
  return (
    <div className="open-run-numbers">
      <TextField
        label="Capacity"
        className="figures"
        value={draft.capacity ?? formatBytes(workload.capacityBytes)}
        problem={capacityProblem(draft)}
        hint={
          draft.workload === "demo" && isOnHost ? <TrySmall /> : "What models, engine and training may hold together."
        }
        onChange={({ target }) => editRun({ capacity: target.value })}
      />
      <NumberField
        label="Seed"
        min={0}
        value={draft.seed ?? workload.seed}
        problem={seedProblem(draft)}
        onValue={(seed) => editRun({ seed })}
      />
    </div>
  );
}

/** The demo in one click: too small for the plain loop, large enough with strategies. */
const SMALL = "12 MiB";

function TrySmall(): ReactNode {
  return (
    <>
      On{" "}
      <button type="button" className="link" onClick={() => editRun({ capacity: SMALL })}>
        {SMALL}
      </button>{" "}
      the demo runs out of memory without strategies, and completes with all of them.
    </>
  );
}

function ScheduleForm(props: { readonly draft: RunDraft; readonly workload: WorkloadSummary | undefined }): ReactNode {
  const { draft, workload } = props;
  const choose = (kind: RunDraft["kind"]) => {
    const isEmpty = kind === "schedule" && draft.text === "" && workload !== undefined;
    editRun({ kind, ...(isEmpty && { text: textOf(draft, workload) }) });
  };
  return (
    <>
      <Segmented
        legend="Schedule"
        value={draft.kind}
        choices={[
          { value: "strategies", label: "From strategies" },
          { value: "schedule", label: "As JSON" },
        ]}
        onValue={choose}
      />
      {draft.kind === "strategies"
        ? workload && (
            <StrategyForm
              strategies={draft.strategies}
              roles={workload.roles}
              onStrategies={(strategies) => editRun({ strategies })}
            />
          )
        : workload && <ScheduleText draft={draft} workload={workload} />}
    </>
  );
}

function ScheduleText({
  draft,
  workload,
}: {
  readonly draft: RunDraft;
  readonly workload: WorkloadSummary;
}): ReactNode {
  return (
    <div className="open-run-text">
      <textarea
        className="input mono"
        aria-label="The schedule as JSON"
        spellCheck={false}
        value={draft.text}
        onChange={({ target }) => editRun({ text: target.value })}
      />
      <Button kind="quiet" onClick={() => editRun({ text: textOf(draft, workload) })}>
        Write the chosen strategies here
      </Button>
    </div>
  );
}

/** The file of the chosen strategies; nothing when they contradict each other, which the other form says. */
function textOf({ strategies }: RunDraft, { roles }: WorkloadSummary): string {
  try {
    return formatSchedule(buildSchedule(strategies, roles));
  } catch {
    return "";
  }
}

/** Waits for the person to stop typing a path. */
const TYPING_MS = 300;

interface WorkloadAnswer {
  /** Of the draft's file the last that could be read, also while it is asked for again. */
  readonly workload?: WorkloadSummary;
  readonly problem?: TidelineErrorData;
  /** Whether this is what the draft means now. */
  readonly isCurrent: boolean;
}

/** The workload of a draft as the session reads it. */
function useWorkload({ workload: choice, path, checkpoints }: RunDraft): WorkloadAnswer {
  const client = useClient();
  const question = useMemo(() => workloadOf({ workload: choice, path, checkpoints }), [choice, path, checkpoints]);
  const [known, setKnown] = useState<Omit<WorkloadAnswer, "isCurrent"> & { readonly of: WorkloadQuestion }>();
  useEffect(() => {
    if (question === undefined) return;
    let isWanted = true;
    const ask = (): void => {
      client.request("read_workload", question).then(
        (workload) => isWanted && setKnown({ of: question, workload }),
        (thrown: unknown) =>
          isWanted &&
          setKnown((before) => ({
            ...(before?.of.path === question.path && before),
            of: question,
            problem: toErrorData(thrown),
          })),
      );
    };
    const timer = setTimeout(ask, choice === "demo" && question.checkpoints === undefined ? 0 : TYPING_MS);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [client, question, choice]);
  // Without a question no file is named: what is known is of the demo.
  if (question === undefined || known === undefined || known.of.path !== question.path) return { isCurrent: false };
  return { ...known, isCurrent: known.of === question };
}
