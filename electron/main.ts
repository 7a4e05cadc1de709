/**
 * Electron's main process, as a table of contents: each concern of the shell is a file in shell/, the door is in
 * hosts/electron/, and everything the product does is in session/. This is the only file that imports Electron at run
 * time; the others are handed what they use, which is what lets them be tested without its binary.
 */
import { join } from "node:path";
import { app, BrowserWindow, dialog, ipcMain, Menu, nativeTheme, protocol, screen, session, shell } from "electron";
import { toErrorData } from "../core/errors.ts";
import { CHANNELS } from "./hosts/electron/channels.ts";
import { serveElectronDoor } from "./hosts/electron/host.ts";
import { rendererPath, surroundings } from "./session/paths.ts";
import { Session } from "./session/session.ts";
import { APP_SCHEME } from "./shell/app-url.ts";
import { menuTemplate } from "./shell/menu.ts";
import { setupPolicies } from "./shell/policies.ts";
import { APP_SCHEME_PRIVILEGES, createAppProtocolHandler } from "./shell/protocol.ts";
import { setupShutdown } from "./shell/shutdown.ts";
import { checkpointOfArguments, setupSingleInstance } from "./shell/single-instance.ts";
import { focusWindow, showRenderer, windowOptions } from "./shell/window.ts";
import { openWindowStateStore } from "./shell/window-state.ts";

const isDevelopment = !app.isPackaged;
let mainWindow: BrowserWindow | undefined;
let tideline: Session | undefined;

// Electron takes this only before it is ready.
protocol.registerSchemesAsPrivileged([APP_SCHEME_PRIVILEGES]);

if (setupSingleInstance({ app, onSecondStart })) {
  setupShutdown(app, async () => tideline?.close());
  app.whenReady().then(start).catch(stopWithMessage);
}

function start(): void {
  setupPolicies({ app, session: session.defaultSession, openExternal: (url) => shell.openExternal(url) });
  protocol.handle(APP_SCHEME, createAppProtocolHandler(rendererPath(surroundings())));
  tideline = new Session({ checkItself: isDevelopment });
  serveElectronDoor({ ipc: ipcMain, session: tideline, window: () => mainWindow, pickFolder });
  setupMenu();
  mainWindow = openWindow();
  void tideline.openFirst(checkpointOfArguments(process.argv, process.cwd(), app.isPackaged));
}

function setupMenu(): void {
  const runCommand = (commandId: string): void => mainWindow?.webContents.send(CHANNELS.menu, commandId);
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate({ runCommand, isDevelopment })));
}

function openWindow(): BrowserWindow {
  const store = openWindowStateStore();
  const workAreas = [screen.getPrimaryDisplay(), ...screen.getAllDisplays()].map((display) => display.workArea);
  const state = store.load(workAreas);
  const window = new BrowserWindow(
    windowOptions({
      state,
      preload: join(import.meta.dirname, "preload.cjs"),
      isDevelopment,
      isDark: nativeTheme.shouldUseDarkColors,
    }),
  );
  store.follow(window);
  window.on("closed", () => {
    mainWindow = undefined;
  });
  showRenderer(window, state.maximized);
  return window;
}

async function pickFolder(): Promise<string | undefined> {
  if (mainWindow === undefined) return undefined;
  const { canceled, filePaths } = await dialog.showOpenDialog(mainWindow, {
    title: "Choose a checkpoint folder",
    properties: ["openDirectory"],
  });
  return canceled ? undefined : filePaths[0];
}

/** A second start: its window is ours. */
function onSecondStart(checkpoint: string | undefined): void {
  if (mainWindow !== undefined) focusWindow(mainWindow);
  if (checkpoint !== undefined) void tideline?.openFirst(checkpoint);
}

/** Nothing works without the session: say why in words and leave. */
function stopWithMessage(error: unknown): void {
  const { message, hint } = toErrorData(error);
  dialog.showErrorBox("Tideline cannot start", hint === undefined ? message : `${message}\n\n${hint}`);
  app.exit(1);
}
