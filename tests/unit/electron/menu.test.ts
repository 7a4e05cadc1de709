/** The menu runs commands of the renderer's registry, and only such as exist. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MenuItemConstructorOptions } from "electron";
import { describe, expect, it } from "vitest";
import { menuTemplate } from "../../../electron/shell/menu.ts";

const COMMANDS = join("renderer", "commands");

function flatten(items: readonly MenuItemConstructorOptions[]): MenuItemConstructorOptions[] {
  return items.flatMap((item) => [item, ...(Array.isArray(item.submenu) ? flatten(item.submenu) : [])]);
}

function items(isDevelopment = false, runCommand: (id: string) => void = () => undefined) {
  return flatten(menuTemplate({ runCommand, isDevelopment }));
}

describe("the application menu", () => {
  it("names commands that the renderer has", () => {
    const sources = readdirSync(COMMANDS).map((name) => readFileSync(join(COMMANDS, name), "utf8"));
    const registered = sources.flatMap((source) =>
      [...source.matchAll(/\bid: [`"]([^`"$]+)/g)].map((match) => match[1] ?? ""),
    );
    const ids = items().flatMap(({ id }) => (id === undefined ? [] : [id]));
    expect(ids.length).toBeGreaterThan(8);
    for (const id of ids) {
      expect(
        registered.some((known) => known === id || (known.endsWith(".") && id.startsWith(known))),
        id,
      ).toBe(true);
    }
  });

  it("sends the command of the chosen item", () => {
    const ran: string[] = [];
    const open = items(false, (id) => ran.push(id)).find(({ id }) => id === "checkpoint.open");
    open?.click?.(undefined as never, undefined, undefined as never);
    expect(ran).toEqual(["checkpoint.open"]);
  });

  it("offers developer tools in development alone", () => {
    const roles = (isDevelopment: boolean) => items(isDevelopment).map(({ role }) => role);
    expect(roles(true)).toContain("toggleDevTools");
    expect(roles(false)).not.toContain("toggleDevTools");
    expect(roles(false)).not.toContain("reload");
  });

  it("leaves the renderer's keys to the renderer", () => {
    expect(items().filter(({ accelerator }) => accelerator !== undefined)).toEqual([]);
  });
});
