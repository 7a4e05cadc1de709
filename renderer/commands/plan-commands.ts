/** What can be done with the plan on the Plan screen. */
import { useMemo } from "react";
import { useShallow } from "zustand/react/shallow";
import type { SessionState } from "../../core/contract/state.ts";
import { TidelineError } from "../../core/errors.ts";
import { HOST } from "../../core/planner/gpus/catalogue.ts";
import { gpuOfDevice, isEmbedded } from "../../core/planner/gpus/planned-gpu.ts";
import type { Plan } from "../../core/planner/plan.ts";
import { formatPlan, parsePlan } from "../../core/planner/plan-file.ts";
import type { Prediction } from "../../core/planner/predict/prediction.ts";
import { PRESETS, presetNamed } from "../../core/planner/presets.ts";
import { planBest } from "../../core/planner/search/best.ts";
import { planToLine } from "../../core/planner/share.ts";
import type { RunState } from "../../core/run/state.ts";
import { describeStrategies } from "../../core/schedule/build.ts";
import type { Client } from "../door/client.ts";
import { evaluationOf } from "../screens/plan/evaluation.ts";
import { differenceFromRoles, isSameWorkload } from "../screens/plan/measured.ts";
import { chooseTextFile, copyText, fileStem, saveFile } from "../state/files.ts";
import { notify } from "../state/notices.ts";
import {
  choosePlan,
  drawBeside,
  editPlan,
  exchangePlans,
  layBeside,
  type PlanStore,
  redoPlan,
  undoPlan,
  usePlan,
} from "../state/plan.ts";
import { setPreferences } from "../state/preferences.ts";
import { useSession } from "../state/session.ts";
import { openDialog } from "../state/view.ts";
import type { Command } from "./command.ts";
import { refusedBecause } from "./context.ts";
import type { Chord } from "./keys.ts";

/** What the commands' words depend on: few of the plan's numbers change them. What they act on is read when they run. */
export interface PlanStanding {
  readonly verdict: "fits" | "does not fit" | "impossible";
  readonly gpuName: string;
  /** Of the preset that the plan still is. */
  readonly preset: string | undefined;
  readonly hasOther: boolean;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}

export interface PlanContext {
  readonly standing: PlanStanding;
  readonly session: SessionState | undefined;
  readonly request: Client["request"];
}

export function usePlanCommands({ request }: Client): readonly Command[] {
  const standing = usePlan(useShallow(standingOf));
  const session = useSession((store) => store.session);
  return useMemo(() => planCommands({ standing, session, request }), [standing, session, request]);
}

export function standingOf({ plan, other, past, future }: PlanStore): PlanStanding {
  const evaluation = evaluationOf(plan);
  return {
    verdict: !evaluation.ok ? "impossible" : evaluation.prediction.fit === "fits" ? "fits" : "does not fit",
    gpuName: plan.gpu.name,
    preset: PRESETS.find((preset) => preset.plan === plan)?.name,
    hasOther: other !== undefined,
    canUndo: past.length > 0,
    canRedo: future.length > 0,
  };
}

const currentPlan = (): Plan => usePlan.getState().plan;

export function planCommands({ standing, session, request }: PlanContext): readonly Command[] {
  return [
    ...actCommands(standing, session, request),
    ...shareCommands(standing),
    ...besideCommands(standing),
    ...presetCommands(standing, request),
    ...runPlanCommands(session?.run),
    measureCommand(standing, session, request),
    command("undo", "Undo the last change of the plan", "Undo", [{ key: "z", mod: true }], {
      refused: !standing.canUndo && "nothing was changed",
      run: undoPlan,
    }),
    command("redo", "Redo what was undone", "Redo", [{ key: "z", mod: true, shift: true }], {
      refused: !standing.canRedo && "nothing was undone",
      run: redoPlan,
    }),
  ];
}

function command(
  id: string,
  title: string,
  label: string,
  keys: readonly Chord[],
  more: {
    readonly consequence?: string;
    readonly refused?: string | false;
    readonly run: Command["run"];
  },
): Command {
  const { consequence, refused, run } = more;
  return {
    id: `plan.${id}`,
    title,
    label,
    group: "Plan",
    ...(keys.length > 0 && { keys }),
    ...(consequence !== undefined && { consequence }),
    ...refusedBecause(refused),
    run,
  };
}

const IMPOSSIBLE = "the plan is impossible: correct the fields that are marked";

function actCommands(
  { verdict }: PlanStanding,
  session: SessionState | undefined,
  request: Client["request"],
): readonly Command[] {
  const impossible = verdict === "impossible" && IMPOSSIBLE;
  const fits = verdict === "fits";
  return [
    command(
      "make_fit",
      fits ? "Choose the fastest strategies that fit" : "Make it fit",
      fits ? "Fastest that fits" : "Make it fit",
      [{ code: "KeyF" }],
      {
        consequence: "looks at every combination of strategies; sizes and models stay as they are",
        refused: impossible,
        run: () => makeFit(currentPlan()),
      },
    ),
    command("run", "Run this plan's schedule on the demo workload", "Run this plan", [{ code: "KeyR" }], {
      consequence: "gives the device to a PPO run; what it measures is then drawn beside the plan",
      refused:
        impossible ||
        (session === undefined && "the session cannot be reached") ||
        (session?.run !== undefined && "a PPO run has the device: end it first"),
      run: async () => {
        const evaluation = evaluationOf(currentPlan());
        if (evaluation.ok) await runPlan(evaluation.prediction, session, request);
      },
    }),
    command("export", "Export the plan: flags of launchers, tables, pictures", "Export…", [{ code: "KeyE" }], {
      refused: impossible,
      run: () => openDialog("plan_export"),
    }),
  ];
}

/** The best schedule takes the plan's place; where none fits, what else would have to change is asked. */
function makeFit(plan: Plan): void {
  const best = planBest(plan);
  if (best.kind === "none") {
    openDialog("plan_fit");
    return;
  }
  choosePlan(best.prediction.plan);
  notify(`Best of ${best.schedules} schedules: ${describeStrategies(best.prediction.plan.strategies)}`);
}

/** @throws TidelineError where the schedule is for other precisions than the demo's checkpoints. */
async function runPlan(
  { plan, schedule }: Prediction,
  session: SessionState | undefined,
  request: Client["request"],
): Promise<void> {
  const workload = await request("read_workload", {});
  const difference = differenceFromRoles(plan, workload.roles, workload.name);
  if (difference !== undefined) {
    throw new TidelineError({
      code: "bad_argument",
      message: `the schedule is for other models: ${difference}`,
      hint: "Start from the preset of the demo, or choose the same precisions.",
    });
  }
  const capacityBytes = isEmbedded(plan.gpu) ? plan.gpu.totalBytes : undefined;
  const apart = plan.placement.kind === "separate" ? session && deviceBeside(session) : undefined;
  const run = await request("open_run", {
    schedule: { kind: "schedule", schedule },
    ...(apart !== undefined && { placement: { engine: apart } }),
    ...(capacityBytes !== undefined && { capacityBytes }),
  });
  setPreferences({ screen: "run" });
  if (run.workload.plan !== undefined && isSameWorkload(plan, run.workload.plan)) {
    drawBeside("run");
    const where = apart === undefined ? "" : `; the engine is on ${apart}`;
    notify(`What a step of this run measures is drawn beside the plan${where}`);
  } else {
    notify("The run has the plan's schedule, but models or sizes of its own: its bytes are not the plan's");
  }
}

/** For an engine that has GPUs of its own in the plan: a GPU if there is one; undefined where there is no other device. */
function deviceBeside({ device, devices }: SessionState): string | undefined {
  const others = devices.filter(({ name, problem }) => problem === undefined && name !== device.name);
  return (others.find(({ name }) => name !== HOST) ?? others[0])?.name;
}

function shareCommands({ verdict }: PlanStanding): readonly Command[] {
  const impossible = verdict === "impossible" && IMPOSSIBLE;
  return [
    command("share.copy", "Copy the plan as one line of text", "Copy as one line", [{ code: "KeyC" }], {
      consequence: "for a chat or an issue; whoever pastes it sees this plan",
      refused: impossible,
      run: async () => {
        await copyText(planToLine(currentPlan()));
        notify("The plan's line is on the clipboard");
      },
    }),
    command("share.paste", "Open a plan from its line of text…", "Paste a line…", [{ code: "KeyP" }], {
      run: () => openDialog("plan_paste"),
    }),
    command("share.save", "Save the plan as a file", "Save as a file", [{ key: "s", mod: true }], {
      refused: impossible,
      run: () => {
        const plan = currentPlan();
        saveFile(`${fileStem(plan.name)}.json`, new Blob([formatPlan(plan)], { type: "application/json" }));
      },
    }),
    command("share.open", "Open a plan from a file…", "Open a file…", [{ key: "o", mod: true }], {
      run: async () => {
        const file = await chooseTextFile(".json,application/json");
        if (file !== undefined) choosePlan(parsePlan(file.text, file.name));
      },
    }),
  ];
}

function besideCommands({ verdict, hasOther }: PlanStanding): readonly Command[] {
  const none = !hasOther && "nothing lies beside the plan";
  return [
    command("beside.keep", "Lay a copy of this plan beside it", "Keep this plan beside", [{ code: "KeyB" }], {
      consequence: "change the plan then, and the differences show",
      refused: verdict === "impossible" && IMPOSSIBLE,
      run: () => layBeside(currentPlan()),
    }),
    command("beside.exchange", "Exchange the plan and the one beside it", "Exchange the two", [{ code: "KeyX" }], {
      refused: none,
      run: exchangePlans,
    }),
    command("beside.remove", "Take away the plan beside", "Take it away", [], {
      refused: none,
      run: () => layBeside(undefined),
    }),
  ];
}

function presetCommands(standing: PlanStanding, request: Client["request"]): readonly Command[] {
  return PRESETS.map((preset) => {
    const beside = preset.beside === undefined ? undefined : presetNamed(preset.beside).plan;
    return command(`preset.${preset.name}`, `Start from: ${preset.plan.name}`, preset.plan.name, [], {
      consequence: beside === undefined ? preset.about : `${preset.about}; beside it: ${beside.name}`,
      refused: standing.preset === preset.name && "it is this one already",
      run: async () => {
        choosePlan(preset.name === DEMO ? await demoHere(preset.plan, request) : preset.plan);
        layBeside(beside);
      },
    });
  });
}

const DEMO = "demo";

/** The demo as this machine has it: its cores, and the workload's file as it is now. */
async function demoHere(preset: Plan, request: Client["request"]): Promise<Plan> {
  const { plan } = await request("read_workload", {});
  return plan === undefined ? preset : { ...plan, name: preset.name };
}

/** The run that has the device, as a plan to go on from. */
function runPlanCommands(run: RunState | undefined): readonly Command[] {
  const planned = run?.workload.plan;
  if (run === undefined || planned === undefined) return [];
  const { name, strategies } = run.schedule;
  return [
    command("preset.run", "Plan the run that has the device", "The run that has the device", [], {
      consequence: `${run.workload.name}: ${name}`,
      refused: strategies === undefined && "its schedule was written by hand: no set of strategies makes it",
      run: () => {
        if (strategies === undefined) return;
        choosePlan({ ...planned, strategies });
        drawBeside("run");
      },
    }),
  ];
}

/** The catalogue's figures are of some card of the name; this machine's own can be asked. */
function measureCommand(
  { gpuName }: PlanStanding,
  session: SessionState | undefined,
  request: Client["request"],
): Command {
  const device = session?.device;
  const here = device === undefined ? undefined : device.name === HOST ? HOST : gpuOfDevice(device)?.name;
  return command(
    "measure_link",
    "Measure this device: its memory, and its link to the host",
    "Measure this device",
    [],
    {
      consequence: "every load, offload and swap of the plan is then reckoned with what was found",
      refused:
        (device === undefined && "the session cannot be reached") ||
        (here !== gpuName && `this machine's device is ${here ?? device?.name}, not ${gpuName}`) ||
        (session?.run !== undefined && "a PPO run has the device: end it first"),
      run: async () => {
        const measured = await request("measure_link", {});
        editPlan("gpu.measured", (before) => ({ ...before, gpu: { ...before.gpu, measured } }));
      },
    },
  );
}
