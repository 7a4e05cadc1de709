/** Menus, opened as a person opens them. */
import type { Locator } from "playwright-core";
import { eventually } from "../../eventually.ts";

/**
 * Opens a button's menu and gives one of its items. A menu whose button moves between press and release stays shut, for
 * anybody, and a loaded machine takes long enough for that: it is pressed again.
 */
export function itemOfMenu(button: Locator, item: Locator): Promise<Locator> {
  return eventually(async () => {
    if ((await button.getAttribute("aria-expanded")) !== "true") await button.click();
    if (!(await item.isVisible())) throw new Error("the menu is not open, or has no such item");
    return item;
  });
}

/** Long enough for a click on what is there. */
const CLICK_MS = 5000;

/**
 * Chooses an item of a button's menu. One that is opened while another is still going away can be closed with it, by the focus
 * that the other gives back: it is opened again.
 */
export async function chooseInMenu(button: Locator, item: Locator): Promise<void> {
  await eventually(async () => {
    await itemOfMenu(button, item);
    await item.click({ timeout: CLICK_MS });
  });
}
