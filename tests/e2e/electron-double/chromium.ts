/**
 * The real browser behind the double's windows. Chromium cannot be taught the scheme `app://`, so its pages live on
 * `http://tideline.localhost` (a secure context), every request to it is answered by the handler that main registered
 * for the scheme, and nothing else is reachable.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type BrowserContext,
  chromium,
  type Frame,
  type Page,
  type Request as PageRequest,
  type Route,
} from "playwright-core";
import { CHROMIUM_ARGUMENTS } from "../support/chromium-arguments.ts";
import { installPageSide, type PageAnswer, type PageQuestion } from "./page-side.ts";

const PAGE_ORIGIN = "http://tideline.localhost";
const APP_ORIGIN = "app://tideline";
/** Windows that a page opens are never shown; this long until they are closed. */
const POPUP_LIFE_MS = 1000;
const BINDING_NAME = "__tidelineMain";

/** `app://tideline/x` as Chromium sees it, and back. Other URLs stay as they are. */
export const toPageUrl = (url: string): string => swapOrigin(url, APP_ORIGIN, PAGE_ORIGIN);
export const toAppUrl = (url: string): string => swapOrigin(url, PAGE_ORIGIN, APP_ORIGIN);

function swapOrigin(url: string, from: string, to: string): string {
  return url === from || url.startsWith(`${from}/`) ? to + url.slice(from.length) : url;
}

/** What a window wants to know of its page; the window decides, the browser obeys. */
export interface PageOwner {
  answer(question: PageQuestion, frame: Frame): Promise<PageAnswer>;
  /** Whether a navigation that the page itself began may go on. */
  allowsNavigation(url: string, isMainFrame: boolean): boolean;
  /** A page asked for a new window. */
  onWindowOpen(url: string): void;
  onCrashed(): void;
}

export type SchemeHandler = (request: Request) => Response | Promise<Response>;

export class Chromium {
  readonly schemeHandlers = new Map<string, SchemeHandler>();
  readonly #context: BrowserContext;
  readonly #owners = new Map<Page, PageOwner>();
  /** Main began a navigation (loadURL, reload): nobody is asked about the next one of these pages. */
  readonly #navigatedByMain = new WeakSet<Page>();
  readonly debuggingPort: number;

  private constructor(context: BrowserContext, debuggingPort: number) {
    this.#context = context;
    this.debuggingPort = debuggingPort;
  }

  static async launch(executablePath: string, profileDirectory: string): Promise<Chromium> {
    const context = await chromium.launchPersistentContext(profileDirectory, {
      executablePath,
      // As Electron does, the application quits in order when it is told to end: its browser is not taken from under it.
      handleSIGTERM: false,
      args: [...CHROMIUM_ARGUMENTS, "--remote-debugging-port=0"],
    });
    const portFile = await readFile(join(profileDirectory, "DevToolsActivePort"), "utf8");
    const browser = new Chromium(context, Number.parseInt(portFile, 10));
    await context.route("**/*", (route) => browser.#serve(route));
    context.on("page", async (page) => {
      if ((await page.opener()) === null) return;
      // Its first request asks the opener's handler and is not answered; closed at once, it might never be made.
      setTimeout(() => page.close().catch(() => undefined), POPUP_LIFE_MS);
    });
    return browser;
  }

  /** A page for a window: preload first, then nothing until it is told to load. */
  async openPage(owner: PageOwner, preloadSource: string): Promise<{ page: Page; dispatchName: string }> {
    const blank = this.#context.pages().find((candidate) => !this.#owners.has(candidate));
    const page = blank ?? (await this.#context.newPage());
    this.#owners.set(page, owner);
    const dispatchName = `__dispatch${randomBytes(8).toString("hex")}`;
    await page.exposeBinding(BINDING_NAME, ({ frame }, question: PageQuestion) => owner.answer(question, frame));
    const settings = JSON.stringify({ bindingName: BINDING_NAME, dispatchName });
    await page.addInitScript(
      `(${installPageSide})(${settings}, function (require, module, exports) {\n${preloadSource}\n});`,
    );
    page.on("close", () => this.#owners.delete(page));
    page.on("crash", () => owner.onCrashed());
    return { page, dispatchName };
  }

  async navigate(page: Page, url: string): Promise<void> {
    this.#navigatedByMain.add(page);
    await page.goto(toPageUrl(url));
  }

  /** Kills the page's renderer process for real. */
  async crash(page: Page): Promise<void> {
    const session = await this.#context.newCDPSession(page);
    // The answer never comes: who would send it is dead.
    session.send("Page.crash").catch(() => undefined);
  }

  close(): Promise<void> {
    return this.#context.close();
  }

  async #serve(route: Route): Promise<void> {
    const request = route.request();
    const url = toAppUrl(request.url());
    if (request.isNavigationRequest() && !this.#mayNavigate(request, url)) return route.abort("aborted");
    const handler = this.schemeHandlers.get(new URL(url).protocol.slice(0, -1));
    if (handler === undefined) return route.abort("blockedbyclient");
    const response = await handler(new Request(url, { method: request.method(), headers: request.headers() }));
    await route.fulfill({
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: Buffer.from(await response.arrayBuffer()),
    });
  }

  #mayNavigate(request: PageRequest, url: string): boolean {
    const frame = frameOf(request);
    const owner = frame === undefined ? undefined : this.#owners.get(frame.page());
    if (frame === undefined || owner === undefined) {
      // No window of ours: a page opened this one. It is never shown, whatever the handler says.
      for (const opener of this.#owners.values()) opener.onWindowOpen(url);
      return false;
    }
    return this.#navigatedByMain.delete(frame.page()) || owner.allowsNavigation(url, frame.parentFrame() === null);
  }
}

/** Playwright has no frame yet for the first navigation of a page that just opened. */
function frameOf(request: PageRequest): Frame | undefined {
  try {
    return request.frame();
  } catch {
    return undefined;
  }
}
