/**
 * Measures the timeline in a real Chromium: an hour at 100 Hz of 13 consumers. Prints one JSON line per case with the
 * frames that panning got and the script time of one drawing. `node tests/bench/timeline/measure.mjs [chromium]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { chromium } from "playwright-core";
import { build, preview } from "vite";

const HERE = dirname(fileURLToPath(import.meta.url));
const PAN_SECONDS = 4;
const DRAWINGS = 60;
const CASES = [
  { width: 1280, height: 560, devicePixelRatio: 1 },
  { width: 1920, height: 700, devicePixelRatio: 1 },
  { width: 1920, height: 700, devicePixelRatio: 2 },
];

const outDir = mkdtempSync(join(tmpdir(), "tideline-timeline-"));
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
    const pan = await page.evaluate(`measurePan(${PAN_SECONDS})`);
    const paint = await page.evaluate(`measurePaint(${DRAWINGS})`);
    console.log(JSON.stringify({ case: "timeline pan, 1 h at 100 Hz", width, height, devicePixelRatio, pan, paint }));
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
  rmSync(outDir, { recursive: true });
}
