/** Whichever dialog is open. */
import type { ReactNode } from "react";
import { assertNever } from "../../core/errors.ts";
import { ExportDialog } from "../screens/plan/dialogs/export-dialog.tsx";
import { FitDialog } from "../screens/plan/dialogs/fit-dialog.tsx";
import { PasteDialog } from "../screens/plan/dialogs/paste-dialog.tsx";
import { ActByHandDialog } from "../screens/run/dialogs/act-by-hand-dialog.tsx";
import { DeviceDialog } from "../screens/run/dialogs/device-dialog.tsx";
import { LendDialog } from "../screens/run/dialogs/lend-dialog.tsx";
import { LoadModelDialog } from "../screens/run/dialogs/load-model-dialog.tsx";
import { OpenDialog } from "../screens/run/dialogs/open-dialog.tsx";
import { OpenRunDialog } from "../screens/run/dialogs/open-run/open-run-dialog.tsx";
import { SaveDialog } from "../screens/run/dialogs/save-dialog.tsx";
import { SwapDialog } from "../screens/run/dialogs/swap-dialog.tsx";
import { useView } from "../state/view.ts";
import { Palette } from "./palette.tsx";
import { ShortcutSheet } from "./shortcut-sheet.tsx";

export function Dialogs(): ReactNode {
  const dialog = useView((view) => view.dialog);
  switch (dialog) {
    case undefined:
      return undefined;
    case "palette":
      return <Palette />;
    case "shortcuts":
      return <ShortcutSheet />;
    case "open_checkpoint":
      return <OpenDialog />;
    case "swap":
      return <SwapDialog />;
    case "load_model":
      return <LoadModelDialog />;
    case "save_checkpoint":
      return <SaveDialog />;
    case "lend":
      return <LendDialog />;
    case "device_settings":
      return <DeviceDialog />;
    case "open_run":
      return <OpenRunDialog />;
    case "act_by_hand":
      return <ActByHandDialog />;
    case "plan_export":
      return <ExportDialog />;
    case "plan_paste":
      return <PasteDialog />;
    case "plan_fit":
      return <FitDialog />;
    default:
      return assertNever(dialog);
  }
}
