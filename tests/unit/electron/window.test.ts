/** The window: its security switches, where it opens, and what happens when its renderer keeps crashing. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CrashBudget, windowOptions } from "../../../electron/shell/window.ts";
import { openWindowStateStore, restoreWindowState } from "../../../electron/shell/window-state.ts";
import { temporaryFolder } from "../checkpoint/files.ts";

const LAPTOP = { x: 0, y: 0, width: 1366, height: 740 };
const SECOND_SCREEN = { x: 1366, y: 0, width: 2560, height: 1400 };

describe("window options", () => {
  const options = (isDevelopment: boolean) =>
    windowOptions({
      state: restoreWindowState(undefined, [LAPTOP]),
      preload: "/app/preload.cjs",
      isDevelopment,
      isDark: true,
    }).webPreferences;

  it("isolates and sandboxes the page", () => {
    expect(options(false)).toMatchObject({
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
    });
  });

  it("has developer tools in development alone", () => {
    expect(options(true)?.devTools).toBe(true);
    expect(options(false)?.devTools).toBe(false);
  });
});

describe("the window's remembered place", () => {
  const onSecond = { bounds: { x: 1500, y: 100, width: 1200, height: 800 }, maximized: true };

  it("is used while its screen is there", () => {
    expect(restoreWindowState(onSecond, [LAPTOP, SECOND_SCREEN])).toEqual(onSecond);
  });

  it("is forgotten when the screen is gone", () => {
    const state = restoreWindowState(onSecond, [LAPTOP]);
    expect(state.maximized).toBe(false);
    expect(state.bounds).toEqual({ x: 0, y: 0, width: 1366, height: 740 });
  });

  it("is forgotten when the title bar cannot be grabbed", () => {
    const above = { bounds: { x: 100, y: -200, width: 1200, height: 800 }, maximized: false };
    const sliver = { bounds: { x: 1320, y: 100, width: 1200, height: 800 }, maximized: false };
    expect(restoreWindowState(above, [LAPTOP]).bounds.y).toBeGreaterThanOrEqual(0);
    expect(restoreWindowState(sliver, [LAPTOP]).bounds.x).toBe(0);
  });

  it.each([undefined, null, "left", { bounds: { x: "1" } }, { bounds: { x: 0, y: 0, width: -5, height: 10 } }])(
    "falls back to the middle of the first screen for %j",
    (stored) => {
      const { bounds } = restoreWindowState(stored, [SECOND_SCREEN, LAPTOP]);
      expect(bounds).toEqual({ x: 1366 + 560, y: 250, width: 1440, height: 900 });
    },
  );

  it("is read from its file; a damaged one, or none that can be read, keeps no window from opening", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "window.json");
    const said = vi.spyOn(console, "error").mockReturnValue();
    onTestFinished(() => said.mockRestore());
    const opened = () => openWindowStateStore(folder).load([LAPTOP, SECOND_SCREEN]);
    await writeFile(file, JSON.stringify({ state: onSecond }));
    expect(opened()).toEqual(onSecond);
    const middle = restoreWindowState(undefined, [LAPTOP]);
    for (const text of ["", "{", "[]", '{"state":7}', "\u0000"]) {
      await writeFile(file, text);
      expect(opened()).toEqual(middle);
    }
    for (const call of said.mock.calls) expect(call).toEqual([expect.stringContaining(`${file}.unreadable`)]);
    await rm(file, { force: true });
    await mkdir(file);
    expect(opened()).toEqual(middle);
    expect(said).toHaveBeenCalledWith(`tideline: ${file} is a folder, not a file`);
  });

  it("is never smaller than the interface needs", () => {
    const tiny = { bounds: { x: 10, y: 10, width: 200, height: 100 }, maximized: false };
    expect(restoreWindowState(tiny, [LAPTOP]).bounds).toMatchObject({ width: 960, height: 600 });
  });
});

describe("a renderer that crashes", () => {
  it("is loaded again, but not for ever", () => {
    const budget = new CrashBudget(3, 60);
    expect([0, 1, 2, 3].map((at) => budget.spend(at))).toEqual([true, true, true, false]);
  });

  it("may crash again when the earlier crashes are long past", () => {
    const budget = new CrashBudget(2, 60);
    expect([0, 50, 100, 150].map((at) => budget.spend(at))).toEqual([true, true, true, true]);
  });
});
