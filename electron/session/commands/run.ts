/** Commands of a PPO run: opening it, stepping it, and acting between its items. */
import { TidelineError } from "../../../core/errors.ts";
import type { Handlers } from "./context.ts";

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

const notYet = async (): Promise<never> => {
  throw new TidelineError({ code: "unsupported", message: "this version cannot run PPO in a window yet" });
};

export const runCommands: Handlers<RunCommand> = {
  read_workload: notYet,
  open_run: notYet,
  close_run: notYet,
  go: notYet,
  retry: notYet,
  pause_run: notYet,
  cancel_run: notYet,
  set_breakpoints: notYet,
  set_pace: notYet,
  act: notYet,
  undo: notYet,
  measure_baseline: notYet,
};
