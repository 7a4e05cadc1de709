/**
 * The module `electron` of the double: what main.ts may import, and nothing more, so that a new import of main fails
 * here until it is doubled. Settings come from the environment that launch.ts prepares.
 */
import { readFileSync } from "node:fs";
import { App, announceToFirstInstance } from "./app.ts";
import { Chromium, type SchemeHandler } from "./chromium.ts";
import { listenToTest } from "./control.ts";
import { IpcMain } from "./ipc.ts";
import { DefaultSession } from "./session.ts";
import { Dialog, Menu, NativeTheme, Screen, Shell } from "./system.ts";
import { createBrowserWindowClass } from "./window.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: start the double through launch.ts`);
  return value;
}

const userData = setting("TIDELINE_DOUBLE_USER_DATA");
const isSecondInstance = await announceToFirstInstance(userData);
// A second instance never shows a window: no browser for it.
const chromium = isSecondInstance
  ? new Promise<Chromium>(() => undefined)
  : Chromium.launch(setting("TIDELINE_DOUBLE_CHROMIUM"), setting("TIDELINE_DOUBLE_PROFILE"));

const defaultSession = new DefaultSession();
export const ipcMain = new IpcMain();
export const app = new App({
  userData,
  version: (JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version,
  ready: chromium,
  isSecondInstance,
  closeWindows: () => {
    const windows = BrowserWindow.getAllWindows();
    if (windows.length === 0) app.emit("window-all-closed");
    for (const window of windows) window.close();
  },
  dispose: async () => {
    if (!isSecondInstance) await (await chromium).close();
  },
});
export const BrowserWindow = createBrowserWindowClass({ app, chromium, ipcMain, session: defaultSession });
export const session = { defaultSession };
export const dialog = new Dialog();
export const shell = new Shell();
export const screen = new Screen();
export const nativeTheme = new NativeTheme();
export { Menu };

const privileged = new Set<string>();
export const protocol = {
  registerSchemesAsPrivileged(schemes: readonly { readonly scheme: string }[]): void {
    for (const { scheme } of schemes) privileged.add(scheme);
  },
  handle(scheme: string, handler: SchemeHandler): void {
    if (!privileged.has(scheme)) throw new Error(`${scheme} is not a privileged scheme: pages of it have no origin`);
    void chromium.then((browser) => browser.schemeHandlers.set(scheme, handler));
  },
};

process.on("SIGTERM", () => app.quit());
if (!isSecondInstance) listenToTest({ app, BrowserWindow, chromium, dialog, shell });
