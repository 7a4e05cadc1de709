/**
 * The one window: sandboxed, context-isolated, without Node, showing `app://tideline/`. A renderer that crashes is
 * loaded again, because everything worth keeping lives in the session and is sent to it anew.
 */
import type { BrowserWindow, BrowserWindowConstructorOptions } from "electron";
import { APP_URL } from "./app-url.ts";
import { MINIMUM_SIZE, type WindowState } from "./window-state.ts";

const CRASHES_ALLOWED = 3;
const CRASH_WINDOW_SECONDS = 60;

export interface WindowSettings {
  readonly state: WindowState;
  readonly preload: string;
  /** From sources: developer tools may be opened. */
  readonly isDevelopment: boolean;
  readonly isDark: boolean;
}

/** Options of the main window. Every security switch is spelled out, defaults included, so that a test can hold them. */
export function windowOptions({
  state,
  preload,
  isDevelopment,
  isDark,
}: WindowSettings): BrowserWindowConstructorOptions {
  return {
    ...state.bounds,
    minWidth: MINIMUM_SIZE.width,
    minHeight: MINIMUM_SIZE.height,
    title: "Tideline",
    // Shown once the first frame is painted; until then (and while resizing) this is the colour behind it.
    show: false,
    backgroundColor: isDark ? "#14171c" : "#ffffff",
    webPreferences: {
      preload,
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      experimentalFeatures: false,
      webviewTag: false,
      navigateOnDragDrop: false,
      spellcheck: false,
      devTools: isDevelopment,
    },
  };
}

/** Loads the renderer and shows the window with its first frame. */
export function showRenderer(window: BrowserWindow, maximized: boolean): void {
  window.once("ready-to-show", () => {
    if (maximized) window.maximize();
    window.show();
  });
  reloadAfterCrash(window);
  window.loadURL(APP_URL).catch((error: unknown) => console.error("tideline: the window did not load:", error));
}

/** Brings the window to the front, wherever it was. */
export function focusWindow(window: BrowserWindow): void {
  if (window.isMinimized()) window.restore();
  window.show();
  window.focus();
}

function reloadAfterCrash(window: BrowserWindow): void {
  const budget = new CrashBudget(CRASHES_ALLOWED, CRASH_WINDOW_SECONDS);
  window.webContents.on("render-process-gone", (_event, { reason, exitCode }) => {
    if (reason === "clean-exit" || window.isDestroyed()) return;
    console.error(`tideline: the renderer stopped (${reason}, exit code ${exitCode})`);
    if (budget.spend(Date.now() / 1000)) window.webContents.reload();
    else console.error("tideline: it keeps stopping; close the window and start Tideline again");
  });
}

/** So many crashes per stretch of time are answered with a reload; a page that dies at once must not loop for ever. */
export class CrashBudget {
  readonly #allowed: number;
  readonly #windowSeconds: number;
  #crashes: readonly number[] = [];

  constructor(allowed: number, windowSeconds: number) {
    this.#allowed = allowed;
    this.#windowSeconds = windowSeconds;
  }

  /** Counts a crash at `nowSeconds`; false once there were more than allowed within the window. */
  spend(nowSeconds: number): boolean {
    this.#crashes = [...this.#crashes.filter((at) => nowSeconds - at < this.#windowSeconds), nowSeconds];
    return this.#crashes.length <= this.#allowed;
  }
}
