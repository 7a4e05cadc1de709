/** A PPO run: opening and ending it, and stepping through it. One key each, the finer the step the smaller the number. */
import type { RunState } from "../../core/run/state.ts";
import type { Goal } from "../../core/schedule/cursor.ts";
import { itemAt } from "../../core/schedule/cursor.ts";
import { describeAction } from "../../core/schedule/schedule.ts";
import { openDialog } from "../state/view.ts";
import type { Command } from "./command.ts";
import { type CommandContext, refusedBecause, refusedMapped, refusedOffline } from "./context.ts";
import type { Chord } from "./keys.ts";

/** Seconds that an item takes at least while playing. */
export const PACES: readonly { readonly itemSeconds: number; readonly label: string }[] = [
  { itemSeconds: 0, label: "full speed" },
  { itemSeconds: 0.1, label: "0.1 s an item" },
  { itemSeconds: 0.5, label: "0.5 s an item" },
  { itemSeconds: 2, label: "2 s an item" },
];

/** The number goes on from the steps; the space bar is what players use. */
const PLAY_KEYS: readonly Chord[] = [{ key: "4" }, { key: " " }];

/** Opening a run, while the engine has the device. */
export function openRunCommands(context: CommandContext): readonly Command[] {
  const running = context.session?.engine.status === "running" && "a generation is running: stop it first";
  return [
    {
      id: "run.open",
      title: "Open a PPO run…",
      label: "PPO run…",
      group: "PPO run",
      keys: [{ code: "KeyG" }],
      consequence: "gives the device to a PPO loop that is stepped by hand; the engine comes back when it ends",
      ...refusedBecause(refusedOffline(context), running, refusedMapped(context, { all: true })),
      run: () => openDialog("open_run"),
    },
  ];
}

/** Stepping through the run that has the device. */
export function runCommands(context: CommandContext, run: RunState): readonly Command[] {
  const { request } = context;
  const offline = refusedOffline(context);
  const { status } = run.cursor.run;
  const isGoing = status === "running" || status === "cancelling";
  const isMeasuring = context.session?.operations.some(({ steps }) => steps !== undefined) ?? false;
  const going = isGoing ? "it is running: pause it first" : isMeasuring && "the baseline is being measured";
  const still = !isGoing && "nothing is running";

  const command = (
    id: string,
    words: Pick<Command, "title" | "label" | "consequence">,
    keys: readonly Chord[],
    refused: readonly (string | false | undefined)[],
    act: () => Promise<unknown>,
  ): Command => ({
    id: `run.${id}`,
    group: "PPO run",
    ...words,
    ...(keys.length > 0 && { keys }),
    ...refusedBecause(offline, ...refused),
    run: async () => {
      await act();
    },
  });
  const go = (id: string, title: string, label: string, keys: readonly Chord[], goal: Goal): Command =>
    command(id, { title, label }, keys, [going], () => request("go", { goal }));

  const isPausing = status === "running" && run.cursor.run.pausing !== undefined;
  return [
    go("next_action", "Do the next action or work", "Action", [{ key: "1" }], { kind: "action" }),
    go("next_phase", "Go to the next phase", "Phase", [{ key: "2" }], { kind: "phase" }),
    go("next_step", "Go to the next PPO step", "Step", [{ key: "3" }], { kind: "steps", steps: 1 }),
    isGoing
      ? command(
          "play",
          { title: "Pause before the next action or work", label: isPausing ? "Pausing…" : "Pause" },
          PLAY_KEYS,
          [status === "cancelling" && "it is being cancelled"],
          () => request("pause_run", {}),
        )
      : go("play", "Play until something stops it", "Play", PLAY_KEYS, { kind: "play" }),
    command(
      "cancel",
      { title: "Cancel what is under way", label: "Cancel", consequence: "it is undone, and the run stands before it" },
      [{ code: "KeyC" }],
      [still, status === "cancelling" && "it is being cancelled already"],
      () => request("cancel_run", {}),
    ),
    command(
      "retry",
      { title: status === "failed" ? `Try ${placeName(run)} again` : "Try what failed again", label: "Retry" },
      [{ code: "KeyR" }],
      [status !== "failed" && "nothing has failed"],
      () => request("retry", {}),
    ),
    command(
      "undo",
      {
        title: run.undo === undefined ? "Undo the last action by hand" : `Undo: ${run.undo.label}`,
        label: "Undo",
      },
      [{ code: "KeyU" }],
      [going, run.undo === undefined && "nothing was done by hand since the last action of the schedule"],
      () => request("undo", {}),
    ),
    ...PACES.map(({ itemSeconds, label }) =>
      command(
        `pace.${itemSeconds}`,
        { title: `Play at ${label}`, label },
        [],
        [itemSeconds === run.itemSeconds && "it is this pace already"],
        () => request("set_pace", { itemSeconds }),
      ),
    ),
    ...paceKeys(run, command, request),
    command(
      "measure_baseline",
      {
        title: "Measure the baseline: the same workload with no strategy",
        label: "Measure baseline",
        consequence:
          "runs beside this one, without a limit of memory, for as many steps as this one has completed, at most 3",
      },
      [{ code: "KeyM" }],
      [going],
      () => request("measure_baseline", {}),
    ),
    {
      ...command(
        "close",
        {
          title: "End the PPO run",
          label: "End run",
          consequence: "the device goes back to the engine; what the policy learned is dropped",
        },
        [],
        [],
        () => request("close_run", {}),
      ),
      destructive: true,
    },
  ];
}

/** One pace slower, one faster. */
function paceKeys(
  run: RunState,
  command: (
    id: string,
    words: Pick<Command, "title" | "label">,
    keys: readonly Chord[],
    refused: readonly (string | false)[],
    act: () => Promise<unknown>,
  ) => Command,
  request: CommandContext["request"],
): readonly Command[] {
  const slower = PACES.find(({ itemSeconds }) => itemSeconds > run.itemSeconds);
  const faster = PACES.findLast(({ itemSeconds }) => itemSeconds < run.itemSeconds);
  const set = (pace: { readonly itemSeconds: number } | undefined) => async () =>
    pace && request("set_pace", { itemSeconds: pace.itemSeconds });
  return [
    command(
      "slower",
      { title: "Play slower" },
      [{ key: "[" }],
      [slower === undefined && "it is the slowest"],
      set(slower),
    ),
    command(
      "faster",
      { title: "Play faster" },
      [{ key: "]" }],
      [faster === undefined && "it is the fastest"],
      set(faster),
    ),
  ];
}

function placeName(run: RunState): string {
  const item = itemAt(run.schedule, run.cursor);
  return item.kind === "work" ? item.work : describeAction(item.action);
}
