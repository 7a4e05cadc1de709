/**
 * The Run screen as a person uses it, by roles and names. It takes any Playwright page, so the same object drives the
 * browser door, the double of Electron, and a window of Playwright's Electron driver.
 */
import type { Locator, Page } from "playwright-core";
import { chooseInMenu } from "./menu.ts";
import { TimelinePage } from "./timeline-page.ts";

export class RunPage {
  readonly page: Page;
  readonly timeline: TimelinePage;
  readonly engine: Locator;
  readonly memory: Locator;
  readonly actions: Locator;
  readonly notices: Locator;
  readonly generateButton: Locator;
  readonly dialog: Locator;
  readonly #generation: Locator;

  constructor(page: Page) {
    this.page = page;
    this.timeline = new TimelinePage(page);
    this.engine = page.getByRole("region", { name: "Engine" });
    this.memory = page.getByRole("region", { name: "Memory", exact: true });
    this.actions = page.getByRole("region", { name: "Actions" });
    this.notices = page.getByRole("region", { name: "Notices" });
    this.dialog = page.getByRole("dialog");
    this.#generation = page.getByRole("region", { name: "Generate" });
    this.generateButton = this.#generation.getByRole("button", { name: "Generate" });
  }

  /** Until a checkpoint is open and samples arrive. */
  async waitUntilReady(): Promise<void> {
    await this.engine.getByText("idle").waitFor();
    await this.timeline.stage.waitFor();
  }

  // Generation

  /** Asks for a greedy continuation and waits for its end; returns the whole text, prompt included. */
  async generate(prompt: string, newTokens = 24): Promise<string> {
    const before = await this.#finishedCount();
    await this.startGenerating(prompt, newTokens);
    // In the list and shown: for a moment the text is still that of the one before, which is complete.
    await this.page.waitForFunction((count) => {
      const [newest, ...others] = document.querySelectorAll("[aria-label^='Generations'] button");
      return others.length >= count && newest?.getAttribute("aria-current") === "true";
    }, before);
    await this.#generation.locator("p[aria-busy=false]").first().waitFor();
    return this.generatedText();
  }

  /** The same prompt `batch` times. */
  async startGenerating(prompt: string, newTokens: number, batch = 1): Promise<void> {
    await this.#generation.getByRole("textbox", { name: "Prompt" }).fill(prompt);
    await this.#generation.getByLabel("New tokens").fill(String(newTokens));
    await this.#generation.getByLabel("Batch").fill(String(batch));
    await this.#generation.getByRole("radio", { name: "Greedy" }).check({ force: true });
    await this.generateButton.click();
  }

  /** The text so far of the generation that is shown. */
  async generatedText(): Promise<string> {
    return (await this.#generation.locator("p[aria-busy]").first().textContent()) ?? "";
  }

  /** Begins to count the texts that the shown generation has had, in the page: no poll is fast enough on a busy machine. */
  async watchText(): Promise<void> {
    await this.page.evaluate(() => {
      const seen = new Set<string>();
      const look = (): void => {
        const text = document.querySelector("p[aria-busy]")?.textContent;
        if (text) seen.add(text);
        document.documentElement.dataset.textsSeen = String(seen.size);
      };
      new MutationObserver(look).observe(document.body, { childList: true, characterData: true, subtree: true });
    });
  }

  async textsSeen(): Promise<number> {
    return Number(await this.page.evaluate(() => document.documentElement.dataset.textsSeen));
  }

  /** A figure of the shown generation: "speed", "new tokens", "took". */
  figure(name: string): Locator {
    return this.#generation.locator("dl > div", { has: this.page.locator("dt", { hasText: name }) }).locator("dd");
  }

  #finishedCount(): Promise<number> {
    return this.#generation
      .getByRole("list", { name: /^Generations/ })
      .getByRole("button")
      .count();
  }

  // Memory

  consumer(name: string): Locator {
    return this.memory.getByRole("listitem").filter({ has: this.page.getByText(name, { exact: true }) });
  }

  /** Chooses one of a consumer's releases by the words on its menu item. */
  async release(consumer: string, words: string | RegExp): Promise<void> {
    const button = this.consumer(consumer).getByRole("button", { name: `Release ${consumer}` });
    await chooseInMenu(button, this.page.getByRole("menuitem", { name: words }).first());
  }

  async resume(consumer: string): Promise<void> {
    await this.consumer(consumer).getByRole("button", { name: "Resume" }).click();
  }

  // Dialogs

  async openCheckpoint(path: string): Promise<void> {
    await this.engine.getByRole("button", { name: "Open…" }).click();
    await this.dialog.getByRole("textbox", { name: /^Folder on the machine/ }).fill(path);
    await this.dialog.getByRole("button", { name: "Open", exact: true }).click();
  }

  async swapFromFolder(path: string): Promise<void> {
    await this.engine.getByRole("button", { name: "Swap…" }).click();
    await this.#choose("Folder on disk");
    await this.dialog.getByRole("textbox", { name: /^Folder on the machine/ }).fill(path);
    await this.#submit(/^Swap/);
  }

  async swapFromModel(method: "Share" | "Copy"): Promise<void> {
    await this.engine.getByRole("button", { name: "Swap…" }).click();
    await this.#choose("Model in memory");
    await this.#choose(method);
    await this.#submit(/^Swap/);
  }

  async loadSecondModel(path: string): Promise<void> {
    await this.engine.getByRole("button", { name: "Second model…" }).click();
    await this.dialog.getByRole("textbox", { name: /^Folder on the machine/ }).fill(path);
    await this.#submit("Load");
  }

  async #choose(label: string): Promise<void> {
    await this.dialog.getByRole("radio", { name: new RegExp(`^${label}`) }).check({ force: true });
  }

  async #submit(name: string | RegExp): Promise<void> {
    await this.dialog.getByRole("button", { name }).last().click();
    await this.dialog.waitFor({ state: "detached" });
  }

  // Commands

  async openPalette(): Promise<Locator> {
    await this.page.keyboard.press("Control+k");
    const palette = this.page.getByRole("dialog", { name: "Commands" });
    await palette.waitFor();
    return palette;
  }

  /** Types into the palette and takes the first command found. */
  async runFromPalette(words: string): Promise<void> {
    await this.openPalette();
    await this.page.keyboard.type(words);
    await this.page.keyboard.press("Enter");
  }
}
