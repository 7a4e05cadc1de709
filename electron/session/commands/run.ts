/** Commands of a PPO run: opening and ending it, stepping it, and acting between its items. Stopping it never waits. */

import type { DeviceChoice } from "../../../core/contract/state.ts";
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { TidelineError } from "../../../core/errors.ts";
import { type Action, describeAction, targetOf } from "../../../core/schedule/schedule.ts";
import { planRun, summariseWorkload } from "../run/plan.ts";
import type { CommandContext, Handlers } from "./context.ts";

type RunCommand =
  | "read_workload"
  | "open_run"
  | "close_run"
  | "go"
  | "retry"
  | "pause_run"
  | "cancel_run"
  | "set_breakpoints"
  | "set_pace"
  | "act"
  | "undo"
  | "measure_baseline";

export const runCommands: Handlers<RunCommand> = {
  read_workload: async ({ path, checkpoints }, context) =>
    summariseWorkload(fileOf(path, context), ownDevice(context), checkpoints),

  open_run: async (request, context) => {
    const { device, operations } = context;
    const file = fileOf(request.workload, context);
    return operations.run("open a PPO run", async (work) => {
      const run = await device.openRun(await planRun(file, request, ownDevice(context)), work);
      return run.state();
    });
  },

  close_run: async (_, { device, operations }) => {
    void device.requireRun().stop();
    await operations.run("end the PPO run", (work) => device.closeRun(work));
    return {};
  },

  go: async ({ goal }, { device, operations }) => {
    await operations.inTurn(async () => device.requireRun().go(goal));
    return {};
  },

  retry: async (_, { device, operations }) => {
    await operations.inTurn(async () => device.requireRun().retry());
    return {};
  },

  pause_run: async (_, { device }) => {
    device.requireRun().pause();
    return {};
  },

  cancel_run: async (_, { device }) => {
    device.requireRun().cancel();
    return {};
  },

  set_breakpoints: async ({ breakpoints }, { device }) => {
    device.requireRun().setBreakpoints(breakpoints);
    return {};
  },

  set_pace: async ({ itemSeconds }, { device, changed }) => {
    device.requireRun().setPace(itemSeconds);
    changed();
    return {};
  },

  act: async ({ action }, { actions, device }) => {
    await actions.run(shown(action), (work) => device.requireRun().act(action, work));
    return {};
  },

  undo: async (_, { actions, device }) => {
    const { undoable } = device.requireRun();
    if (undoable === undefined) {
      throw new TidelineError({ code: "bad_argument", message: "there is nothing that can be undone" });
    }
    await actions.run(shown(undoable.inverse), async (work) => {
      const run = device.requireRun();
      // Another undo was before it in the queue: this one would take back what nobody saw named.
      if (run.undoable !== undoable) {
        const message = `"${describeAction(undoable.action)}" can no longer be undone`;
        throw new TidelineError({ code: "bad_argument", message });
      }
      return run.undo(work);
    });
    return {};
  },

  measure_baseline: async ({ maxSteps }, { device, operations }) => {
    const run = device.requireRun();
    await operations.runBeside("measure the baseline", (work) => run.measureBaseline(maxSteps, work));
    return {};
  },
};

/** @throws TidelineError `not_found` where this copy of Tideline comes without a workload. */
function fileOf(path: string | undefined, { demoWorkload }: CommandContext): string {
  const file = path ?? demoWorkload;
  if (file !== undefined) return file;
  throw new TidelineError({ code: "not_found", message: "there is no workload here", hint: "Choose a workload file." });
}

/** A schedule's action as the timeline has it. */
function shown(action: Action): { kind: ActionRecord["kind"]; consumer: string; label: string } {
  const { kind } = action;
  return { kind: kind === "offload" ? "release" : kind, consumer: targetOf(action), label: describeAction(action) };
}

/** The device that a run has, as the session knows it. */
function ownDevice({ device, state }: CommandContext): DeviceChoice {
  const name = device.ownDevice;
  const found = state().devices.find((choice) => choice.name === name);
  if (found === undefined) throw new TidelineError({ code: "device_unavailable", message: `there is no ${name}` });
  return found;
}
