/**
 * The two doors to the same program, opened the same way, so that one spec runs over both: `tideline serve` in a page
 * of Chromium, and the desktop program over the double of Electron.
 */
import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { Desktop } from "../electron-double/launch.ts";
import { RunPage } from "../pages/run-page.ts";
import { serveApp } from "./app.ts";
import { launchChromium } from "./browser.ts";

export type DoorKind = "browser" | "desktop";

export interface OpenDoor {
  readonly run: RunPage;
  /** Errors that the page reported: exceptions, refused content, failed requests. */
  readonly problems: readonly string[];
  /** Resident memory of the process that holds the addon, as the system counts it. */
  readonly residentBytes: () => number;
  readonly output: () => string;
  close(): Promise<void>;
}

/** Until what is waited for on a page counts as never coming: a loaded machine may take seconds over a click. */
const WAIT_LIMIT_MS = 60_000;

/** One Chromium for all pages of the browser door; the desktop brings its own. */
let shared: Promise<Browser> | undefined;

export async function closeSharedBrowser(): Promise<void> {
  await (await shared)?.close();
  shared = undefined;
}

export function openDoor(kind: DoorKind, chromium: string): Promise<OpenDoor> {
  return kind === "browser" ? openBrowserDoor(chromium) : openDesktopDoor(chromium);
}

async function openBrowserDoor(chromium: string): Promise<OpenDoor> {
  const app = await serveApp();
  shared ??= launchChromium(chromium);
  const context = await (await shared).newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_LIMIT_MS);
  const problems = collectProblems(page);
  await page.goto(app.url);
  const run = new RunPage(page);
  await run.waitUntilReady();
  return {
    run,
    problems,
    residentBytes: () => residentBytesOf(app.pid),
    output: app.output,
    async close() {
      await context.close();
      await app.close();
    },
  };
}

async function openDesktopDoor(chromium: string): Promise<OpenDoor> {
  const desktop = await Desktop.launch({ chromium });
  const page = await desktop.window();
  page.setDefaultTimeout(WAIT_LIMIT_MS);
  const problems = collectProblems(page);
  const run = new RunPage(page);
  await run.waitUntilReady();
  return {
    run,
    problems,
    residentBytes: () => residentBytesOf(desktop.pid),
    output: desktop.output,
    close: () => desktop.close(),
  };
}

function collectProblems(page: Page): readonly string[] {
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  return problems;
}

function residentBytesOf(pid: number): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}
