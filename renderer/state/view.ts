/** What is open in front of the screen, and which commands are under way. Gone with the window. */
import { create } from "zustand";
import type { Action } from "../../core/schedule/schedule.ts";

/** One dialog at a time. */
export type DialogName =
  | "palette"
  | "shortcuts"
  | "open_checkpoint"
  | "swap"
  | "load_model"
  | "save_checkpoint"
  | "lend"
  | "device_settings"
  | "open_run"
  | "act_by_hand"
  | "plan_export"
  | "plan_paste"
  | "plan_fit";

interface ViewStore {
  readonly dialog: DialogName | undefined;
  /** Commands whose promise has not settled: their buttons say so and do not start them twice. */
  readonly pending: ReadonlySet<string>;
  /** What the path box of the checkpoint opener starts with: the name of a folder dropped in a browser. */
  readonly droppedName: string | undefined;
  /** What `act_by_hand` asks about. */
  readonly action: Action | undefined;
  /** What `lend` lends. */
  readonly consumer: string | undefined;
}

export const useView = create<ViewStore>(() => ({
  dialog: undefined,
  pending: new Set(),
  droppedName: undefined,
  action: undefined,
  consumer: undefined,
}));

export function openDialog(dialog: DialogName, droppedName?: string): void {
  useView.setState({ dialog, droppedName });
}

/** Asks before an action by hand that the run will miss something for. */
export function askBeforeActing(action: Action): void {
  useView.setState({ dialog: "act_by_hand", action });
}

/** Asks at which socket a consumer's weights are to be lent. */
export function askWhereToLend(consumer: string): void {
  useView.setState({ dialog: "lend", consumer });
}

export function closeDialog(): void {
  useView.setState({ dialog: undefined, droppedName: undefined, action: undefined, consumer: undefined });
}

export function setPending(command: string, pending: boolean): void {
  useView.setState((before) => {
    const next = new Set(before.pending);
    if (pending) next.add(command);
    else next.delete(command);
    return { pending: next };
  });
}
