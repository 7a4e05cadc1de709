/** The Run screen during a PPO run, as a person uses it, by roles and names. */
import type { Locator, Page } from "playwright-core";
import { itemOfMenu } from "./menu.ts";

export type RunTab = "Memory" | "Learning" | "Rollouts" | "Savings" | "Actions";

export class PpoPage {
  readonly page: Page;
  readonly run: Locator;
  readonly schedule: Locator;
  readonly detail: Locator;
  /** Where the run stands, and why. */
  readonly place: Locator;
  readonly failure: Locator;
  readonly dialog: Locator;

  constructor(page: Page) {
    this.page = page;
    this.run = page.getByRole("region", { name: "PPO run" });
    this.schedule = page.getByRole("region", { name: "Schedule" });
    this.detail = page.getByRole("region", { name: "The run in detail" });
    this.place = page.getByRole("status", { name: "Where the run stands" });
    this.failure = page.getByRole("alert", { name: "What stopped the run" });
    this.dialog = page.getByRole("dialog");
  }

  /** Opens the demo workload and waits until it stands before its first item. */
  async open(capacity: string, strategies: "None" | "All"): Promise<void> {
    await this.page.getByRole("button", { name: "PPO run…" }).click();
    await this.dialog.getByRole("textbox", { name: "Capacity" }).fill(capacity);
    await this.dialog.getByRole("button", { name: strategies, exact: true }).click();
    await this.dialog.getByText("Can run:").waitFor();
    await this.dialog.getByRole("button", { name: "Open run" }).click();
    await this.standsAt("nothing has run yet");
  }

  async end(): Promise<void> {
    await this.run.getByRole("button", { name: "End run" }).click();
    await this.run.waitFor({ state: "detached" });
  }

  /** A button of the stepper. */
  async step(button: "Action" | "Phase" | "Step" | "Play" | "Undo"): Promise<void> {
    await this.run.getByRole("toolbar", { name: "Stepper" }).getByRole("button", { name: button }).click();
  }

  /** Until the place or the reason has these words. */
  async standsAt(words: string): Promise<void> {
    await this.place.getByText(words).waitFor();
  }

  /** Whether the whole row of the item where the run stands is within its list. */
  async currentRowInSight(): Promise<boolean> {
    const row = await this.schedule.locator("[aria-current]").boundingBox();
    const list = await this.schedule.getByRole("list", { name: "Phases of a step" }).boundingBox();
    if (row === null || list === null) return false;
    return row.y >= list.y && row.y + row.height <= list.y + list.height;
  }

  async show(tab: RunTab): Promise<Locator> {
    await this.detail.getByRole("tab", { name: tab }).click();
    const panel = this.detail.getByRole("tabpanel", { name: tab });
    await panel.waitFor();
    return panel;
  }

  /** The line of a consumer in the Memory tab. */
  consumer(name: string): Locator {
    return this.detail.getByRole("row").filter({ has: this.page.getByRole("rowheader", { name, exact: true }) });
  }

  /** Opens a consumer's actions and gives the one with these words. */
  async action(consumer: string, words: RegExp): Promise<Locator> {
    const button = this.consumer(consumer).getByRole("button", { name: `Act on ${consumer}` });
    return itemOfMenu(button, this.page.getByRole("menuitem", { name: words }));
  }

  /** The newest value of a curve, as it is written over it. */
  async curveValue(title: string): Promise<string> {
    const curve = this.detail.getByRole("figure", { name: `${title} per step` });
    return (await curve.locator("b").textContent()) ?? "";
  }
}
