/** What is open in front of the screen, and which commands are under way. Gone with the window. */
import { create } from "zustand";

/** One dialog at a time. */
export type DialogName =
  | "palette"
  | "shortcuts"
  | "open_checkpoint"
  | "swap"
  | "load_model"
  | "save_checkpoint"
  | "device_settings";

interface ViewStore {
  readonly dialog: DialogName | undefined;
  /** Commands whose promise has not settled: their buttons say so and do not start them twice. */
  readonly pending: ReadonlySet<string>;
  /** What the path box of the checkpoint opener starts with: the name of a folder dropped in a browser. */
  readonly droppedName: string | undefined;
}

export const useView = create<ViewStore>(() => ({ dialog: undefined, pending: new Set(), droppedName: undefined }));

export function openDialog(dialog: DialogName, droppedName?: string): void {
  useView.setState({ dialog, droppedName });
}

export function closeDialog(): void {
  useView.setState({ dialog: undefined, droppedName: undefined });
}

export function setPending(command: string, pending: boolean): void {
  useView.setState((before) => {
    const next = new Set(before.pending);
    if (pending) next.add(command);
    else next.delete(command);
    return { pending: next };
  });
}
