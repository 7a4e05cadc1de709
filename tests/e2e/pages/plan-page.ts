/** The Plan screen as a person uses it, by roles and names. */
import type { Locator, Page } from "playwright-core";
import { chooseInMenu } from "./menu.ts";

export type PlanTab = "Why" | "Residency" | "Transitions" | "Room to grow" | "Differences";

export class PlanPage {
  readonly page: Page;
  readonly plan: Locator;
  readonly verdict: Locator;
  readonly chart: Locator;
  readonly strategies: Locator;
  readonly detail: Locator;
  readonly dialog: Locator;

  constructor(page: Page) {
    this.page = page;
    this.plan = page.getByRole("region", { name: "Plan", exact: true });
    this.verdict = page.getByRole("region", { name: "Verdict" });
    this.chart = page.getByRole("region", { name: "Memory by phase" });
    this.strategies = page.getByRole("region", { name: "Strategies" });
    this.detail = page.getByRole("region", { name: "The plan in detail" });
    this.dialog = page.getByRole("dialog");
  }

  async goTo(screen: "Run" | "Plan"): Promise<void> {
    await this.page.getByRole("navigation", { name: "Screens" }).getByRole("button", { name: screen }).click();
  }

  /** Starts from the preset whose entry has these words. */
  async start(words: string): Promise<void> {
    await this.choose("Presets", words);
    await this.plan.getByRole("textbox", { name: "Name of the plan" }).waitFor();
  }

  async choose(menu: "Presets" | "Share" | "Beside", words: string): Promise<void> {
    const button = this.plan.getByRole("button", { name: menu });
    await chooseInMenu(button, this.page.getByRole("menuitem").filter({ hasText: words }).first());
  }

  name(): Promise<string> {
    return this.plan.getByRole("textbox", { name: "Name of the plan" }).inputValue();
  }

  /** The sentence, with its chip's word before it. */
  async sentence(): Promise<string> {
    return (await this.verdict.getByRole("status").textContent()) ?? "";
  }

  /** Until the verdict has these words. */
  async says(words: string | RegExp): Promise<void> {
    await this.verdict.getByRole("status").filter({ hasText: words }).waitFor();
  }

  /** What the bars hold, as they are read out: "train_policy: 73.5 GiB". */
  async bars(): Promise<readonly string[]> {
    const bars = await this.chart.getByRole("button", { name: /: / }).all();
    return Promise.all(bars.map(async (bar) => (await bar.getAttribute("aria-label")) ?? ""));
  }

  /** Drops a file onto the window, as a person does from a file manager. */
  async drop(name: string, text: string): Promise<void> {
    await this.page.evaluate(
      ([fileName, content]) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([content], fileName));
        for (const type of ["dragover", "drop"]) {
          const init = { dataTransfer, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent(type, init));
        }
      },
      [name, text] as const,
    );
  }

  /** The line of a strategy. */
  strategy(name: string): Locator {
    return this.strategies.getByRole("listitem").filter({ hasText: name });
  }

  async toggle(name: string): Promise<void> {
    await this.strategies.getByRole("switch", { name }).click();
  }

  async show(tab: PlanTab): Promise<Locator> {
    await this.detail.getByRole("tab", { name: tab }).click();
    const panel = this.detail.getByRole("tabpanel", { name: tab });
    await panel.waitFor();
    return panel;
  }

  async press(button: "Make it fit" | "Fastest that fits" | "Run this plan" | "Export…"): Promise<void> {
    await this.verdict.getByRole("button", { name: button }).click();
  }
}
