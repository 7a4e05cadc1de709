/** What a test asks of the doubled main process, over Node's child process channel: the part of a person and the system. */
import type { App } from "./app.ts";
import type { Chromium } from "./chromium.ts";
import { type Dialog, flatten, Menu, type Shell } from "./system.ts";
import type { BrowserWindowClass } from "./window.ts";

interface Parts {
  readonly app: App;
  readonly BrowserWindow: BrowserWindowClass;
  readonly chromium: Promise<Chromium>;
  readonly dialog: Dialog;
  readonly shell: Shell;
}

export interface WindowReport {
  readonly bounds: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  readonly isShown: boolean;
  readonly focusCount: number;
  readonly webPreferences: Readonly<Record<string, unknown>>;
}

export interface MainReport {
  readonly windows: readonly WindowReport[];
  readonly openedExternally: readonly string[];
  readonly dialogs: readonly { readonly kind: string; readonly options: unknown }[];
  readonly menuCommands: readonly string[];
}

export type ControlRequest =
  | { readonly kind: "report" }
  | { readonly kind: "choose-menu"; readonly id: string }
  | { readonly kind: "answer-folder-dialog"; readonly path: string }
  | { readonly kind: "move-window"; readonly bounds: WindowReport["bounds"] }
  | { readonly kind: "crash-renderer" }
  | { readonly kind: "close-window" }
  | { readonly kind: "quit" };

export type ControlMessage =
  | { readonly kind: "ready"; readonly debuggingPort: number }
  | { readonly kind: "answer"; readonly id: number; readonly value?: MainReport; readonly error?: string };

export function listenToTest(parts: Parts): void {
  const tell = (message: ControlMessage): void => {
    process.send?.(message);
  };
  process.on("message", async ({ id, request }: { id: number; request: ControlRequest }) => {
    try {
      const value = await perform(parts, request);
      tell({ kind: "answer", id, ...(value === undefined ? {} : { value }) });
    } catch (error) {
      tell({ kind: "answer", id, error: String(error) });
    }
  });
  // The test is gone: nobody would close this process otherwise.
  process.on("disconnect", () => parts.app.exit(0));
  void parts.chromium.then(({ debuggingPort }) => tell({ kind: "ready", debuggingPort }));
}

async function perform(parts: Parts, request: ControlRequest): Promise<MainReport | undefined> {
  const [window] = parts.BrowserWindow.getAllWindows();
  switch (request.kind) {
    case "report":
      return report(parts);
    case "choose-menu":
      Menu.choose(request.id);
      return undefined;
    case "answer-folder-dialog":
      parts.dialog.folderAnswers.push(request.path);
      return undefined;
    case "move-window":
      window?.setBounds(request.bounds);
      return undefined;
    case "crash-renderer":
      await window?.webContents.crash();
      return undefined;
    case "close-window":
      window?.close();
      return undefined;
    case "quit":
      parts.app.quit();
      return undefined;
  }
}

function report({ BrowserWindow, shell, dialog }: Parts): MainReport {
  return {
    windows: BrowserWindow.getAllWindows().map((window) => ({
      bounds: window.getNormalBounds(),
      isShown: window.isShown,
      focusCount: window.focusCount,
      webPreferences: window.options.webPreferences ?? {},
    })),
    openedExternally: shell.opened,
    dialogs: dialog.shown,
    menuCommands: flatten(Menu.applicationMenu?.items ?? []).flatMap(({ id }) => (id === undefined ? [] : [id])),
  };
}
