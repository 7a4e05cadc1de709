/**
 * Pictures of every screen and dialog, at two sizes, light and dark, into tests/output/screenshots for people to look
 * at. What is asserted of each: nothing sticks out of the window.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { PpoPage } from "./pages/ppo-page.ts";
import type { RunPage } from "./pages/run-page.ts";
import { closeSharedBrowser, type OpenDoor, openDoor } from "./support/doors.ts";

const chromium = inject("chromium") ?? "";
const FOLDER = resolve("tests/output/screenshots");
const SIZES = [
  { width: 1280, height: 800 },
  { width: 1920, height: 1080 },
] as const;

/** The name of the picture, the words that find the dialog in the palette, and its title; none: the palette itself. */
const DIALOGS: readonly (readonly [name: string, words?: string, title?: string])[] = [
  ["palette"],
  ["shortcuts", "keyboard shortcuts", "Keyboard shortcuts"],
  ["open", "open a checkpoint", "Open a checkpoint"],
  ["swap", "swap the engine", "Swap the engine's weights"],
  ["second-model", "load a second model", "Load a second model"],
  ["save", "save the engine", "Save as a Hugging Face folder"],
  ["device", "device, capacity", "Device, capacity and KV cache"],
  ["open-run", "open a ppo run", "Open a PPO run"],
];

describe.skipIf(chromium === "")("screenshots", () => {
  let door: OpenDoor;
  let run: RunPage;

  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    door = await openDoor("browser", chromium);
    run = door.run;
    await run.generate("The harbour", 64);
    await run.release("engine.kv_cache", /^Discard(?!, hold)/);
    await run.actions.getByText(/freed 64\.0 MiB/).waitFor();
    await run.page.getByRole("list", { name: /^Generations/ }).waitFor();
  });

  afterAll(async () => {
    await door.close();
    await closeSharedBrowser();
  });

  describe.each(SIZES)("at $width px", ({ width, height }) => {
    it.each(["light", "dark"] as const)("%s", async (colorScheme) => {
      await run.page.setViewportSize({ width, height });
      await run.page.emulateMedia({ colorScheme });
      const take = (name: string) => run.page.screenshot({ path: join(FOLDER, `${name}-${width}-${colorScheme}.png`) });
      await take("run");
      expect(await overflowingElements(run)).toEqual([]);
      await run.page.keyboard.press("v");
      await run.timeline.table.waitFor();
      await take("table");
      await run.page.keyboard.press("v");
      for (const [name, words, title = "Commands"] of DIALOGS) {
        await run.page.keyboard.press("Control+k");
        if (words !== undefined) {
          await run.page.keyboard.type(words);
          await run.page.keyboard.press("Enter");
        }
        await run.page.getByRole("dialog", { name: title }).waitFor();
        await take(name);
        await run.page.keyboard.press("Escape");
        await run.dialog.waitFor({ state: "detached" });
      }
    });
  });
});

describe.skipIf(chromium === "")("screenshots of a PPO run", () => {
  let door: OpenDoor;
  let ppo: PpoPage;

  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    door = await openDoor("browser", chromium);
    ppo = new PpoPage(door.run.page);
  });

  afterAll(async () => {
    await door.close();
    await closeSharedBrowser();
  });

  it("without strategies, out of memory", async () => {
    await ppo.open("12 MiB", "None");
    await ppo.step("Play");
    await ppo.failure.waitFor();
    await takeAll("ppo-out-of-memory");
    await ppo.end();
  });

  it("with all strategies, tab by tab", async () => {
    await ppo.open("12 MiB", "All");
    for (const step of [2, 3, 4]) {
      await ppo.step("Step");
      await ppo.standsAt(`step ${step} · rollout`);
    }
    for (const tab of ["Memory", "Learning", "Rollouts", "Savings", "Actions"] as const) {
      await ppo.show(tab);
      await takeAll(`ppo-${tab.toLowerCase()}`);
    }
  });

  async function takeAll(name: string): Promise<void> {
    const { page } = ppo;
    for (const size of SIZES) {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.setViewportSize(size);
        // Colours do not fade from one theme into the other while the picture is taken.
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await page.screenshot({ path: join(FOLDER, `${name}-${size.width}-${colorScheme}.png`) });
        expect(await overflowingElements(door.run)).toEqual([]);
      }
    }
  }
});

/** Elements that stick out of the window sideways. */
function overflowingElements(run: RunPage): Promise<string[]> {
  return run.page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((element) => {
        const box = element.getBoundingClientRect();
        const isClipped = element.closest(".timeline-axis-clip, .timeline-offscreen, .visually-hidden") !== null;
        return !isClipped && box.width > 0 && (box.left < -1 || box.right > window.innerWidth + 1);
      })
      .map((element) => `${element.tagName} ${element.className}`),
  );
}
