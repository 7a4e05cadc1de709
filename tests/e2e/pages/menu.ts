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
