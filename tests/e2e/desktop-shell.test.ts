/**
 * The desktop program as built, over the double of Electron: its window, its policies met by real page behaviour, its
 * door, its menu, its single instance, and how it ends.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { afterEach, describe, expect, inject, it } from "vitest";
import type { Door } from "../../core/contract/messages.ts";
import { Desktop, type DesktopFolders } from "./electron-double/launch.ts";
import { PpoPage } from "./pages/ppo-page.ts";

const chromium = inject("chromium") ?? "";

/** The bridged door inside the page. */
declare global {
  interface Window {
    readonly tidelineDoor?: Door;
  }
}

let running: Desktop[] = [];

async function start(options: { arguments?: readonly string[]; folders?: DesktopFolders } = {}): Promise<Desktop> {
  const desktop = await Desktop.launch({ chromium, ...options });
  running.push(desktop);
  return desktop;
}

afterEach(async () => {
  await Promise.all(running.map((desktop) => desktop.close()));
  running = [];
});

/** Sends anything at all through the door and returns the answer. */
function send(page: Page, message: unknown): Promise<unknown> {
  return page.evaluate((raw) => window.tidelineDoor?.send(raw as never), message);
}

describe.skipIf(chromium === "")("the desktop shell", () => {
  it("shows one isolated, sandboxed window with the door and nothing of Node or Electron", async () => {
    const desktop = await start();
    const page = await desktop.window();
    await expect.poll(async () => (await desktop.report()).windows[0]?.isShown).toBe(true);
    const [shown] = (await desktop.report()).windows;
    expect(shown?.webPreferences).toMatchObject({ contextIsolation: true, sandbox: true, nodeIntegration: false });
    const found = await page.evaluate(() => ({
      door: Object.keys(window.tidelineDoor ?? {}).sort(),
      frozen: Object.isFrozen(window.tidelineDoor),
      leaks: ["require", "process", "module", "Buffer", "ipcRenderer", "electron", "__tidelineMain"].filter(
        (name) => name in window,
      ),
    }));
    expect(found).toEqual({
      door: ["kind", "onConnection", "onMenuCommand", "pathOf", "pickFolder", "send", "subscribe"],
      frozen: true,
      leaks: [],
    });
  });

  it("answers through the session, and malformed messages with errors instead of a crash", async () => {
    const page = await (await start()).window();
    expect(await send(page, { id: 7, command: "observe", params: {} })).toMatchObject({ id: 7, ok: true });
    const malformed = [
      undefined,
      null,
      7,
      "observe",
      [],
      {},
      { id: "x" },
      { id: 1, command: "observe", params: {}, extra: 1 },
    ];
    for (const message of malformed) {
      expect(await send(page, message)).toMatchObject({ ok: false, error: { code: "bad_message" } });
    }
    expect(await send(page, { id: 1, command: "rm", params: {} })).toMatchObject({
      error: { code: "unknown_command" },
    });
    expect(await send(page, { id: 2, command: "release", params: { consumer: 1 } })).toMatchObject({ ok: false });
    expect(await send(page, { id: 8, command: "observe", params: {} })).toMatchObject({ id: 8, ok: true });
  });

  it("delivers events without Electron's own, until unsubscribed", async () => {
    const page = await (await start()).window();
    const received = await page.evaluate(async () => {
      const calls: unknown[][] = [];
      await new Promise<void>((done) => {
        const stop = window.tidelineDoor?.subscribe((...args: unknown[]) => {
          calls.push(args);
          if (calls.length === 2) {
            stop?.();
            // Two more batches' time: nothing may arrive any more.
            setTimeout(done, 500);
          }
        });
      });
      return calls;
    });
    expect(received).toHaveLength(2);
    for (const args of received) expect(args).toEqual([expect.objectContaining({ event: expect.any(String) })]);
  });

  it("refuses messages from a frame inside the page", async () => {
    const page = await (await start()).window();
    await page.evaluate(() => document.body.append(document.createElement("iframe")));
    const frame = page.frames().find((candidate) => candidate.parentFrame() !== null);
    const answer = await frame?.evaluate(
      ([channel]) =>
        (window as unknown as { __tidelineMain(question: unknown): Promise<unknown> }).__tidelineMain({
          kind: "invoke",
          channel,
          args: [{ id: 1, command: "observe", params: {} }],
        }),
      ["tideline:request"],
    );
    expect(answer).toMatchObject({ failed: true, message: expect.stringContaining("refused") });
  });

  it("stays on its own page, opens no window, and hands documentation to the system's browser", async () => {
    const desktop = await start();
    const page = await desktop.window();
    await page.evaluate(() => {
      window.location.href = "https://example.com/";
    });
    await page.evaluate(() => void window.open("https://example.org/popup"));
    // Chromium itself blocks a window that follows another too soon: it is asked for until it comes, as by clicking again.
    const opened = async () => {
      await page.evaluate(() => void window.open("https://huggingface.co/docs/safetensors"));
      return [...new Set((await desktop.report()).openedExternally)];
    };
    await expect.poll(opened, { interval: 1000 }).toEqual(["https://huggingface.co/docs/safetensors"]);
    await expect.poll(() => page.context().pages().length, { timeout: 5000 }).toBe(1);
    expect(page.url()).toContain("tideline.localhost");
    expect(await send(page, { id: 1, command: "observe", params: {} })).toMatchObject({ ok: true });
  });

  it("grants no permission", async () => {
    const page = await (await start()).window();
    const answers = await page.evaluate(async () => ({
      notifications: await Notification.requestPermission(),
      geolocation: await new Promise((done) =>
        navigator.geolocation.getCurrentPosition(
          () => done("granted"),
          () => done("denied"),
        ),
      ),
      query: (await navigator.permissions.query({ name: "geolocation" })).state,
    }));
    expect(answers).toEqual({ notifications: "denied", geolocation: "denied", query: "denied" });
  });

  it("serves the build under a policy that forbids inline scripts, eval and other origins", async () => {
    const page = await (await start()).window();
    const outcome = await page.evaluate(async () => {
      const script = document.createElement("script");
      script.textContent = "window.injected = true";
      document.body.append(script);
      const outside = await fetch("https://example.com/").then(
        () => "reached",
        () => "blocked",
      );
      const traversal = (await fetch("/..%2fmain.js")).status;
      return { injected: "injected" in window, outside, traversal };
    });
    expect(outcome).toEqual({ injected: false, outside: "blocked", traversal: 404 });
  });

  it("gives the folder chosen in the dialog, and nothing when it was cancelled", async () => {
    const desktop = await start();
    const page = await desktop.window();
    await desktop.tell({ kind: "answer-folder-dialog", path: "/models/llama" });
    expect(await page.evaluate(() => window.tidelineDoor?.pickFolder?.())).toBe("/models/llama");
    expect(await page.evaluate(() => window.tidelineDoor?.pickFolder?.())).toBeUndefined();
    expect((await desktop.report()).dialogs[0]).toMatchObject({ options: { properties: ["openDirectory"] } });
  });

  it("opens, steps and ends a PPO run from the application's menu", async () => {
    const desktop = await start();
    const page = await desktop.window();
    const ppo = new PpoPage(page);
    const choose = (id: string) => desktop.tell({ kind: "choose-menu", id });
    await page.getByRole("button", { name: "PPO run…" }).waitFor();
    await choose("run.next_step");
    await page.getByText("No PPO run is open: open one first").waitFor();

    await choose("run.open");
    await ppo.dialog.getByText("Can run:").waitFor();
    await ppo.dialog.getByRole("button", { name: "Open run" }).click();
    await ppo.standsAt("nothing has run yet");
    await choose("run.next_action");
    await ppo.standsAt("step 1 · score_policy");
    await choose("run.next_phase");
    await ppo.standsAt("step 1 · score_reference");
    await choose("run.next_step");
    await ppo.standsAt("step 2 · rollout");
    await choose("run.play");
    await ppo.standsAt("step 3");
    await choose("run.play");
    await ppo.run.getByText("paused", { exact: true }).waitFor();
    await choose("generate.start");
    await page.getByText("A PPO run has the device: end it first").waitFor();
    await choose("run.close");
    await ppo.run.waitFor({ state: "detached" });
  });

  it("loads a renderer that crashed again; the session went on", async () => {
    const desktop = await start();
    const before = await desktop.window();
    await desktop.tell({ kind: "crash-renderer" });
    await expect.poll(async () => (await desktop.window()) !== before, { timeout: 20_000 }).toBe(true);
    expect(await send(await desktop.window(), { id: 3, command: "observe", params: {} })).toMatchObject({ ok: true });
    expect(desktop.output()).toContain("the renderer stopped (crashed");
  });

  it("brings the first window to the front at a second start, and opens what that was given", async () => {
    const desktop = await start();
    const page = await desktop.window();
    const path = resolve("tests/fixtures/checkpoints/tiny-qwen2-tied");
    const focusedBefore = (await desktop.report()).windows[0]?.focusCount ?? 0;
    expect(await Desktop.launchSecond({ chromium, arguments: [path], folders: desktop.folders })).toBe(0);
    await expect.poll(async () => (await desktop.report()).windows[0]?.focusCount).toBeGreaterThan(focusedBefore);
    await expect
      .poll(() => send(page, { id: 1, command: "observe", params: {} }), { timeout: 20_000 })
      .toMatchObject({ value: { engine: { checkpoint: { path } } } });
  });

  it("opens where it was closed", async () => {
    const bounds = { x: 120, y: 80, width: 1200, height: 760 };
    const first = await start();
    await first.window();
    await first.tell({ kind: "move-window", bounds });
    await first.tell({ kind: "quit" });
    expect(await first.exited()).toBe(0);
    const second = await start({ folders: first.folders });
    await second.window();
    expect((await second.report()).windows[0]?.bounds).toEqual(bounds);
  });

  it("closes the session and ends when its window is closed", async () => {
    const desktop = await start();
    await desktop.window();
    await desktop.tell({ kind: "close-window" });
    expect(await desktop.exited()).toBe(0);
    expect(desktop.output()).not.toContain("did not close");
    expect(existsSync(join(desktop.folders.directory, "config", "window.json"))).toBe(true);
    expect(readFileSync(join(desktop.folders.directory, "config", "window.json"), "utf8")).toContain("bounds");
  });
});
