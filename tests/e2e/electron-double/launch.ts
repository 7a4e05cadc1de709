/**
 * Starts the desktop program over the double, as Playwright's `_electron.launch()` starts it over Electron: the process
 * is `dist/main.js` as built, and the test attaches to its Chromium from outside.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { collectOutput, stop, temporaryFolders } from "../support/app.ts";
import { DOUBLE_BUNDLE } from "./build.ts";
import type { ControlMessage, ControlRequest, MainReport } from "./control.ts";

const READY_LIMIT_SECONDS = 60;
const WINDOW_LIMIT_SECONDS = 30;
const EXIT_LIMIT_SECONDS = 40;

export interface DesktopFolders {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface DesktopOptions {
  readonly chromium: string;
  /** After the application's folder, as on a command line. */
  readonly arguments?: readonly string[];
  /** Of an earlier start, to start again with what it remembered. */
  readonly folders?: DesktopFolders;
}

export class Desktop {
  readonly folders: DesktopFolders;
  readonly output: () => string;
  readonly #child: ChildProcess;
  readonly #browser: Browser;
  readonly #exited: Promise<number>;
  #nextId = 1;

  private constructor(child: ChildProcess, browser: Browser, folders: DesktopFolders, output: () => string) {
    this.#child = child;
    this.#browser = browser;
    this.#exited = exitOf(child);
    this.folders = folders;
    this.output = output;
  }

  static async launch(options: DesktopOptions): Promise<Desktop> {
    const folders = options.folders ?? temporaryFolders();
    const child = startProcess(options, folders);
    const output = collectOutput(child);
    const address = `http://127.0.0.1:${await debuggingPort(child, output)}`;
    try {
      return new Desktop(child, await chromium.connectOverCDP(address), folders, output);
    } catch (error) {
      await stop(child);
      throw new Error(`cannot attach to the double's Chromium:\n${output()}`, { cause: error });
    }
  }

  /** A start while another one runs: resolves with its exit code. */
  static async launchSecond(options: DesktopOptions & { readonly folders: DesktopFolders }): Promise<number> {
    return exitOf(startProcess(options, options.folders));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The window's page, once it shows the application. After a crash it is another page. */
  async window(): Promise<Page> {
    const until = Date.now() + WINDOW_LIMIT_SECONDS * 1000;
    while (Date.now() < until) {
      const pages = this.#browser.contexts().flatMap((context) => context.pages());
      const page = pages.findLast(
        (candidate) => !candidate.isClosed() && candidate.url().startsWith("http://tideline.localhost/"),
      );
      if (page !== undefined) return page;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`no window within ${WINDOW_LIMIT_SECONDS} s:\n${this.output()}`);
  }

  async report(): Promise<MainReport> {
    const report = await this.tell({ kind: "report" });
    if (report === undefined) throw new Error("the double sent no report");
    return report;
  }

  /** Does what a person or the system would do to the main process. */
  tell(request: ControlRequest): Promise<MainReport | undefined> {
    const id = this.#nextId++;
    return new Promise((done, fail) => {
      const listen = (message: ControlMessage): void => {
        if (message.kind !== "answer" || message.id !== id) return;
        this.#child.off("message", listen);
        if (message.error === undefined) done(message.value);
        else fail(new Error(message.error));
      };
      this.#child.on("message", listen);
      this.#child.send({ id, request });
    });
  }

  /** Resolves with the exit code once the process ended by itself. */
  async exited(): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, fail) => {
      const late = () => fail(new Error(`did not end within ${EXIT_LIMIT_SECONDS} s:\n${this.output()}`));
      timer = setTimeout(late, EXIT_LIMIT_SECONDS * 1000);
    });
    return Promise.race([this.#exited, limit]).finally(() => clearTimeout(timer));
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await stop(this.#child);
  }
}

function startProcess(options: DesktopOptions, folders: DesktopFolders): ChildProcess {
  const hooks = join(import.meta.dirname, "register.mjs");
  return spawn(process.execPath, ["--import", hooks, "dist/main.js", ...(options.arguments ?? [])], {
    env: {
      ...process.env,
      ...folders.env,
      TIDELINE_ELECTRON_DOUBLE: DOUBLE_BUNDLE,
      TIDELINE_DOUBLE_CHROMIUM: options.chromium,
      TIDELINE_DOUBLE_USER_DATA: folders.directory,
      TIDELINE_DOUBLE_PROFILE: join(folders.directory, "chromium"),
    },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
}

async function exitOf(child: ChildProcess): Promise<number> {
  const [code] = await once(child, "exit");
  return Number(code);
}

function debuggingPort(child: ChildProcess, output: () => string): Promise<number> {
  return new Promise((done, fail) => {
    const timer = setTimeout(
      () => fail(new Error(`not ready within ${READY_LIMIT_SECONDS} s:\n${output()}`)),
      READY_LIMIT_SECONDS * 1000,
    );
    child.once("exit", (code) => {
      clearTimeout(timer);
      fail(new Error(`main ended with ${code} before it was ready:\n${output()}`));
    });
    child.on("message", (message: ControlMessage) => {
      if (message.kind !== "ready") return;
      clearTimeout(timer);
      done(message.debuggingPort);
    });
  });
}
