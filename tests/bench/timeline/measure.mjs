/**
 * Measures the timeline in a real Chromium: an hour at 100 Hz of 13 consumers. Prints one JSON line per case:
 * frames that a gesture got, and the CPU time of the main thread per frame (16.7 ms allow 60 a second). `node tests/bench/timeline/measure.mjs [chromium]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { chromium } from "playwright-core";
import { build, preview } from "vite";

const HERE = dirname(fileURLToPath(import.meta.url));
const SECONDS = 4;
const CASES = [
  { width: 1280, height: 560, devicePixelRatio: 1 },
  { width: 1920, height: 700, devicePixelRatio: 1 },
  { width: 1920, height: 700, devicePixelRatio: 2 },
];

/**
 * What the page's main thread has worked so far, in its own CPU time: true on a busy machine too.
 * @param {import("playwright-core").CDPSession} devtools
 */
async function mainThreadSeconds(devtools) {
  const { metrics } = await devtools.send("Performance.getMetrics");
  return metrics.find((metric) => metric.name === "TaskDuration")?.value ?? Number.NaN;
}

const outDir = mkdtempSync(join(tmpdir(), "tideline-timeline-"));
/** @type {import("vite").InlineConfig} */
const site = { root: HERE, configFile: false, logLevel: "error", build: { outDir, emptyOutDir: true } };
await build({ ...site, plugins: [react()] });
const server = await preview({ ...site, preview: { port: 0, host: "127.0.0.1" } });
const executablePath = process.argv[2] ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const address = server.resolvedUrls?.local[0] ?? "";
  for (const { width, height, devicePixelRatio } of CASES) {
    const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: devicePixelRatio });
    await page.goto(`${address}?seconds=3600&hertz=100&phases=1`);
    await page.waitForSelector("canvas");
    await page.waitForTimeout(1000);
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    for (const gesture of ["Pan", "Zoom"]) {
      const before = await mainThreadSeconds(devtools);
      const result = await page.evaluate(`measure${gesture}(${SECONDS})`);
      const mainThreadMs = (1000 * ((await mainThreadSeconds(devtools)) - before)) / result.frames;
      const size = { width, height, devicePixelRatio };
      console.log(JSON.stringify({ case: `timeline ${gesture}, 1 h at 100 Hz`, ...size, ...result, mainThreadMs }));
    }
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
  rmSync(outDir, { recursive: true });
}
