/** The report in a real browser: drawn in both schemes and on paper, asking for nothing, whatever a model wrote. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { renderReport } from "../../electron/report/render.tsx";
import { makeReport } from "../unit/report/fixture.ts";
import { temporaryFolders } from "./support/app.ts";
import { launchChromium } from "./support/browser.ts";

const chromium = inject("chromium") ?? "";
const HOSTILE = `</bdi><script>document.title = "taken"</script><img src="https://example.org/x.png" onerror="alert(1)">`;

describe.skipIf(chromium === "")("a report in a browser", () => {
  const folders = temporaryFolders();
  const file = join(folders.directory, "report.html");
  let browser: Browser;

  beforeAll(async () => {
    writeFileSync(file, renderReport(makeReport({ samples: [{ prompt: HOSTILE, response: HOSTILE, reward: 0 }] })));
    browser = await launchChromium(chromium);
  });
  afterAll(async () => {
    await browser.close();
    folders.remove();
  });

  it.each([
    ["light", "screen", "rgb(255, 255, 255)"],
    ["dark", "screen", "rgb(20, 24, 29)"],
    ["dark", "print", "rgb(255, 255, 255)"],
  ] as const)("%s on %s: has its colours, asks for nothing and runs nothing", async (colorScheme, media, surface) => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const asked: string[] = [];
    const said: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("console", (message) => said.push(message.text()));
    page.on("dialog", (dialog) => said.push(dialog.message()));
    await page.emulateMedia({ colorScheme, media });
    await page.goto(pathToFileURL(file).href);
    expect(await page.title()).toContain("demo");
    const colour = await page
      .locator("section")
      .first()
      .evaluate((element) => getComputedStyle(element).backgroundColor);
    expect(colour).toBe(surface);
    expect(await page.getByText(HOSTILE).count()).toBe(4);
    expect({ asked, said }).toEqual({ asked: [pathToFileURL(file).href], said: [] });
    await page.close();
  });

  it("fits its window, and says each picture's name", async () => {
    for (const width of [420, 1280, 1920]) {
      const page = await browser.newPage({ viewport: { width, height: 800 } });
      await page.goto(pathToFileURL(file).href);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), `${width}`).toBeLessThanOrEqual(width);
      await expect(page.getByRole("img", { name: "Memory in step 3" }).count()).resolves.toBe(1);
      await expect(page.getByRole("img", { name: "Reward" }).count()).resolves.toBe(1);
      await page.close();
    }
  });
});
