/** The timeline's view, its table, the keyboard and the themes: what is the same whatever the engine does. */
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import type { RunPage } from "./pages/run-page.ts";
import { closeSharedBrowser, type DoorKind, type OpenDoor, openDoor } from "./support/doors.ts";

const chromium = inject("chromium") ?? "";
const KV_CACHE = "engine.kv_cache";

afterAll(closeSharedBrowser);

describe.skipIf(chromium === "").each<DoorKind>(["browser", "desktop"])("the timeline through the %s door", (kind) => {
  let door: OpenDoor;
  let run: RunPage;

  beforeEach(async () => {
    door = await openDoor(kind, chromium);
    run = door.run;
  });

  afterEach(async () => {
    await door.close();
    expect(door.problems).toEqual([]);
  });

  it("zooms about the pointer, pans, fits everything, and goes back to live", async () => {
    const { timeline, page } = run;
    await timeline.fitAfter(4);
    const [left, middle, right] = [await timeline.timeAt(0.1), await timeline.timeAt(0.5), await timeline.timeAt(0.9)];
    await timeline.zoom(0.5, -600);
    expect(Math.abs((await timeline.timeAt(0.5)) - middle)).toBeLessThan(0.1);
    expect(await timeline.timeAt(0.1)).toBeGreaterThan(left + 0.5);
    expect(await timeline.timeAt(0.9)).toBeLessThan(right - 0.5);

    await timeline.drag(0.4, 0.6);
    expect(Math.abs((await timeline.timeAt(0.7)) - middle)).toBeLessThan(0.1);
    await page.keyboard.press("d");
    expect(await timeline.timeAt(0.7)).toBeGreaterThan(middle + 0.2);
    await page.keyboard.press("f");
    expect(await timeline.timeAt(0.1)).toBeLessThan(middle / 2);
    await timeline.button(/^Last half minute/).click();
    await timeline.button("Pause view").waitFor();
  });

  it("shows whole labels of time or none, wherever the view is moved", async () => {
    const { timeline } = run;
    await timeline.fitAfter(4);
    await timeline.zoom(0.5, -600);
    // Steps that are shorter than a label: one that passes an end of the plot is seen there.
    for (let moves = 1; moves <= 8; moves++) {
      await timeline.drag(0.5, 0.53);
      await expect.poll(() => timeline.cutTimeLabels(), { message: `after ${moves} moves` }).toEqual([]);
    }
  });

  it("pauses the view without losing what arrives meanwhile", async () => {
    const { timeline } = run;
    await timeline.button("Pause view").click();
    await run.release(KV_CACHE, /^Discard(?!, hold)/);
    await run.actions.getByText(/freed 64\.0 MiB/).waitFor();
    await timeline.stage.getByText(/^Paused/).waitFor();
    await timeline.button("Follow").click();
    expect((await timeline.markers()).join("\n")).toContain("release engine.kv_cache");
  });

  it("measures time and bytes between two cursors", async () => {
    const { timeline } = run;
    await run.release(KV_CACHE, /^Discard(?!, hold)/);
    await run.actions.getByText(/freed 64\.0 MiB/).waitFor();
    // Choosing the action puts one cursor before and one after it: again, where it was not sampled yet.
    const difference = timeline.readOut.locator("p", { hasText: "A → B" });
    const choose = async () => {
      await run.actions.getByRole("button", { name: /release engine\.kv_cache/ }).click();
      return difference.textContent();
    };
    await expect.poll(choose).toMatch(/−6\d\.\d MiB/);
    await run.page.keyboard.press("Escape");
    await difference.waitFor({ state: "detached" });
    await timeline.fitAfter(3);
    await timeline.setCursor(0.4);
    await timeline.readOut.getByText(/^A \d/).waitFor();
    await timeline.setCursor(0.8, "Shift");
    await expect.poll(() => difference.textContent()).toMatch(/A → B[\d.]+ (ms|s)/);
  });

  it("says the same in the table as in the read-out", async () => {
    const { timeline } = run;
    await expect.poll(async () => (await timeline.read()).consumers[KV_CACHE]).toBe("64.0 MiB");
    await run.release(KV_CACHE, /^Discard(?!, hold)/);
    await expect.poll(async () => (await timeline.read()).consumers[KV_CACHE]).toBe("0 B");
    // All of it in view, in rows that are short enough to tell before from after.
    await run.page.keyboard.press("f");
    const { consumers } = await timeline.read();
    await timeline.button("Table").click();
    const rows = (await timeline.tableRows()).filter((row) => row.Used !== "no samples");
    const last = rows.at(-1) ?? {};
    for (const consumer of ["engine.weights", "workspace", "context"])
      expect(last[consumer], consumer).toBe(consumers[consumer]);
    expect(rows.map((row) => row[KV_CACHE])).toContain("64.0 MiB");
    expect(last[KV_CACHE]).toBe("—");
    expect(rows.map((row) => row.Actions).join()).toContain("release engine.kv_cache");
    await timeline.button("Chart").click();
    await timeline.stage.waitFor();
  });

  it("offers every button's command in the palette, and every key in the ? sheet", async () => {
    const { page } = run;
    const onButtons = await page
      .locator("button[data-command]")
      .evaluateAll((buttons) => buttons.map((button) => button.getAttribute("data-command") ?? ""));
    const palette = await run.openPalette();
    const inPalette = await palette
      .getByRole("option")
      .evaluateAll((options) => options.map((option) => option.getAttribute("data-value") ?? ""));
    expect(inPalette).toEqual(expect.arrayContaining([...new Set(onButtons)]));
    const keys = await palette.getByRole("option").locator("kbd").allTextContents();
    await page.keyboard.press("Escape");
    await palette.waitFor({ state: "detached" });
    await page.keyboard.press("Shift+?");
    const sheet = page.getByRole("dialog", { name: "Keyboard shortcuts" });
    await sheet.waitFor();
    const onSheet = await sheet.locator("kbd").allTextContents();
    expect(onSheet).toEqual(expect.arrayContaining([...new Set(keys)]));
  });

  it("releases, resumes and generates by keyboard alone", async () => {
    const { page } = run;
    await run.runFromPalette("release engine.kv_cache: discard");
    await run.consumer(KV_CACHE).getByText("released", { exact: true }).waitFor();
    await run.runFromPalette("resume engine.kv_cache");
    await run.consumer(KV_CACHE).getByText("resident", { exact: true }).waitFor();
    await page.keyboard.press("Control+Enter");
    await page
      .getByRole("list", { name: /^Generations/ })
      .getByRole("button")
      .waitFor();
    await page.keyboard.press("v");
    await run.timeline.table.waitFor();
  });

  it("reaches every control with Tab", async () => {
    const { page } = run;
    const wanted = await page.locator("button:visible, textarea:visible, [role=application]").count();
    await page.locator("body").press("Tab");
    const reached = new Set<string>();
    for (let step = 0; step < 3 * wanted; step += 1) {
      reached.add(
        await page.evaluate(() => {
          const element = document.activeElement;
          return `${element?.getAttribute("data-command") ?? ""}|${element?.getAttribute("aria-label") ?? ""}|${element?.tagName}`;
        }),
      );
      await page.keyboard.press("Tab");
    }
    for (const part of [
      "|Memory over time|",
      "|TEXTAREA",
      "generate.start|",
      "|Release engine.weights|",
      "engine.swap|",
      "window.theme|",
    ]) {
      expect(
        [...reached].some((name) => name.includes(part)),
        part,
      ).toBe(true);
    }
  });

  it("is light or dark as the system is, unless one was chosen, which is remembered", async () => {
    const { page } = run;
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: "light" });
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(background).not.toBe(light);
    const dark = await background();
    await run.runFromPalette("theme: light");
    await expect.poll(background).toBe(light);
    await page.reload();
    await run.waitUntilReady();
    expect(await background()).toBe(light);
    await run.runFromPalette("theme: dark");
    await expect.poll(background).toBe(dark);
  });
});
