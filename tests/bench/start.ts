/**
 * From `npm start -- --serve`, with nothing to build, to the first frame in which the Run screen shows its timeline, in a
 * Chromium that was running already. Everything in between counts: npm, the checks of what is stale, the session, the page.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { launchChromium, obtainChromium } from "../e2e/support/browser.ts";
import { report } from "./report.ts";

const STARTS = 6;

const chromium = await obtainChromium();
if (chromium.found) {
  const browser = await launchChromium(chromium.executablePath);
  const seconds: number[] = [];
  // The first start fills the file cache, as any earlier start did.
  for (let start = 0; start <= STARTS; start += 1) {
    const took = await secondsToFirstFrame(browser);
    if (start > 0) seconds.push(took);
  }
  await browser.close();
  report({ name: "start_to_first_frame", unit: "s", samples: seconds });
} else {
  console.error(`start_to_first_frame is not measured: no Chromium can be had (${chromium.reason})`);
}

async function secondsToFirstFrame(browser: Browser): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "tideline-bench-"));
  const env = { ...process.env, TIDELINE_CONFIG_DIR: directory, TIDELINE_CACHE_DIR: directory };
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const startedMs = performance.now();
  const child = spawn("npm", ["start", "--silent", "--", "--serve", "--port", "0", "--no-open"], {
    env,
    // A process group of its own: npm, the launcher and the session end together.
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    await page.goto(await address(child));
    await page.getByRole("application", { name: "Memory over time" }).waitFor();
    await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
    return (performance.now() - startedMs) / 1000;
  } finally {
    await page.close();
    if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    await once(child, "exit");
    rmSync(directory, { recursive: true, force: true });
  }
}

async function address(child: ChildProcess): Promise<string> {
  let output = "";
  for await (const chunk of child.stdout ?? []) {
    output += String(chunk);
    const [found] = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec(output) ?? [];
    if (found !== undefined) return found;
  }
  throw new Error(`npm start gave no address:\n${output}`);
}
