/** `BrowserWindow` and its `webContents` over one page of the real Chromium. */
import { EventEmitter } from "node:events";
import { readFile } from "node:fs/promises";
import type { Frame, Page } from "playwright-core";
import type { App } from "./app.ts";
import { type Chromium, type PageOwner, toAppUrl } from "./chromium.ts";
import { emitPreventable } from "./emitter.ts";
import type { IpcMain } from "./ipc.ts";
import type { PageAnswer, PageQuestion } from "./page-side.ts";
import { chromiumSettles } from "./patience.ts";
import type { DefaultSession } from "./session.ts";

interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface WindowOptions extends Partial<Rectangle> {
  readonly show?: boolean;
  readonly webPreferences?: Readonly<Record<string, unknown>> & { readonly preload?: string };
}

/** What the windows share: set once by electron.ts. */
export interface WindowWorld {
  readonly app: App;
  readonly chromium: Promise<Chromium>;
  readonly ipcMain: IpcMain;
  readonly session: DefaultSession;
}

type WindowOpenHandler = (details: { url: string }) => { action: "deny" | "allow" };
/** A frame as `senderFrame` shows it. */
interface SenderFrame {
  readonly url: string;
  readonly parent: SenderFrame | null;
}

let nextId = 1;

export class WebContents extends EventEmitter implements PageOwner {
  readonly id = nextId++;
  readonly #world: WindowWorld;
  readonly #options: WindowOptions;
  #page: Promise<{ page: Page; dispatchName: string }>;
  #url = "";
  /** Messages to the page keep their order. */
  #sending: Promise<unknown> = Promise.resolve();
  #windowOpenHandler: WindowOpenHandler = () => ({ action: "allow" });

  constructor(world: WindowWorld, options: WindowOptions) {
    super();
    this.#world = world;
    this.#options = options;
    this.#page = this.#openPage();
    world.app.emit("web-contents-created", {}, this);
  }

  get session(): DefaultSession {
    return this.#world.session;
  }

  async loadURL(url: string): Promise<void> {
    this.#url = url;
    const [{ page }, chromium] = await Promise.all([this.#page, this.#world.chromium]);
    await chromium.navigate(page, url);
    this.emit("did-finish-load");
  }

  getURL(): string {
    return this.#url;
  }

  /** After a crash Chromium's page is of no use any more to Playwright: a new one takes its place. */
  reload(): void {
    const crashed = this.#page;
    this.#page = this.#openPage();
    void crashed.then(({ page }) => page.close());
    void this.loadURL(this.#url);
  }

  send(channel: string, ...args: unknown[]): void {
    const message = structuredClone(args);
    this.#sending = this.#sending
      .then(() => this.#page)
      .then(({ page, dispatchName }) =>
        page.evaluate(
          ([name, to, payload]) =>
            (window as unknown as Record<string, (c: string, a: unknown[]) => void>)[name]?.(to, payload),
          [dispatchName, channel, message] as const,
        ),
      )
      // A page that navigates, crashes or closes loses messages, as a real one does.
      .catch(() => undefined);
  }

  setWindowOpenHandler(handler: WindowOpenHandler): void {
    this.#windowOpenHandler = handler;
  }

  openDevTools(): void {
    this.emit("devtools-opened");
  }

  isDestroyed(): boolean {
    return false;
  }

  async crash(): Promise<void> {
    const { page } = await this.#page;
    await (await this.#world.chromium).crash(page);
  }

  /** Until the page has gone. */
  async closePage(): Promise<void> {
    await chromiumSettles(this.#page.then(({ page }) => page.close()));
  }

  // PageOwner: what the real page does

  async answer(question: PageQuestion, frame: Frame): Promise<PageAnswer> {
    switch (question.kind) {
      case "permission":
        return { failed: false, value: await this.#world.session.request(this, question.permission) };
      case "permission-check":
        return { failed: false, value: this.#world.session.check(this, question.permission) };
      case "invoke":
        return this.#world.ipcMain.invoke({ sender: this, senderFrame: senderFrame(frame) }, question);
      case "send":
        this.#world.ipcMain.emit(question.channel, { sender: this, senderFrame: senderFrame(frame) }, ...question.args);
        return { failed: false, value: undefined };
    }
  }

  allowsNavigation(url: string, isMainFrame: boolean): boolean {
    const frameRefused = emitPreventable(this, "will-frame-navigate", { url, isMainFrame });
    const refused = isMainFrame && emitPreventable(this, "will-navigate", { url, isMainFrame });
    return !frameRefused && !refused;
  }

  onWindowOpen(url: string): void {
    if (this.#windowOpenHandler({ url }).action === "allow") throw new Error("the double opens no second window");
  }

  onCrashed(): void {
    this.emit("render-process-gone", {}, { reason: "crashed", exitCode: 133 });
  }

  async #openPage(): Promise<{ page: Page; dispatchName: string }> {
    const chromium = await this.#world.chromium;
    const preload = this.#options.webPreferences?.preload;
    const opened = await chromium.openPage(this, preload === undefined ? "" : await readFile(preload, "utf8"));
    const { width = 800, height = 600 } = this.#options;
    await opened.page.setViewportSize({ width, height });
    return opened;
  }
}

function senderFrame(frame: Frame): SenderFrame {
  const parent = frame.parentFrame();
  return { url: toAppUrl(frame.url()), parent: parent === null ? null : senderFrame(parent) };
}

/** The class depends on the world of this process, which electron.ts makes. */
export function createBrowserWindowClass(world: WindowWorld) {
  return class BrowserWindow extends EventEmitter {
    static readonly #all = new Set<BrowserWindow>();
    static getAllWindows(): BrowserWindow[] {
      return [...BrowserWindow.#all];
    }

    readonly options: WindowOptions;
    readonly webContents: WebContents;
    #bounds: Rectangle;
    #isDestroyed = false;
    #isMaximized = false;
    #isMinimized = false;
    isShown: boolean;
    focusCount = 0;

    constructor(options: WindowOptions = {}) {
      super();
      this.options = options;
      this.isShown = options.show ?? true;
      const { x = 0, y = 0, width = 800, height = 600 } = options;
      this.#bounds = { x, y, width, height };
      this.webContents = new WebContents(world, options);
      this.webContents.once("did-finish-load", () => this.emit("ready-to-show"));
      BrowserWindow.#all.add(this);
    }

    loadURL(url: string): Promise<void> {
      return this.webContents.loadURL(url);
    }
    show(): void {
      this.isShown = true;
    }
    focus(): void {
      this.focusCount += 1;
    }
    minimize(): void {
      this.#isMinimized = true;
    }
    restore(): void {
      this.#isMinimized = false;
    }
    isMinimized(): boolean {
      return this.#isMinimized;
    }
    maximize(): void {
      this.#isMaximized = true;
    }
    isMaximized(): boolean {
      return this.#isMaximized;
    }
    isDestroyed(): boolean {
      return this.#isDestroyed;
    }
    getNormalBounds(): Rectangle {
      return this.#bounds;
    }
    setBounds(bounds: Partial<Rectangle>): void {
      this.#bounds = { ...this.#bounds, ...bounds };
    }
    /** As the person does it: may be prevented, then the page goes, then the window. */
    close(): void {
      if (emitPreventable(this, "close")) return;
      void this.webContents.closePage().then(() => this.#gone());
    }

    #gone(): void {
      if (this.#isDestroyed) return;
      this.#isDestroyed = true;
      BrowserWindow.#all.delete(this);
      this.emit("closed");
      if (BrowserWindow.#all.size === 0) world.app.emit("window-all-closed");
    }
  };
}

export type BrowserWindowClass = ReturnType<typeof createBrowserWindowClass>;
