/**
 * What the Plan screen's main thread works for one change of a number, in the real page of the real program: from the
 * input event over prediction and rendering to layout and paint, and what the page does afterwards because of it. 60
 * frames a second leave 16.7 ms. It is CPU time of that thread, which other work on the machine does not change much;
 * the frames beside it are wall-clock. Chromium draws without a GPU here.
 */
import type { CDPSession, Locator, Page } from "playwright-core";
import { serveApp } from "../e2e/support/app.ts";
import { launchChromium, obtainChromium } from "../e2e/support/browser.ts";
import { median, report } from "./report.ts";

const VIEWPORTS = [
  { width: 1280, height: 800 },
  { width: 1920, height: 1080 },
];
/** The slider is drawn from one end to the other so often, each time with a prompt that nobody asked about before. */
const DRAGS = 12;
const KEYSTROKES = 60;

const chromium = await obtainChromium();
if (chromium.found) {
  const browser = await launchChromium(chromium.executablePath);
  const app = await serveApp();
  try {
    for (const viewport of VIEWPORTS) {
      const page = await browser.newPage({ viewport });
      await page.goto(app.url);
      await page.getByRole("button", { name: "Plan", exact: true }).click();
      await page.getByRole("status").getByText(/^fits/).waitFor();
      await measure(page, `${viewport.width}x${viewport.height}`);
      await page.close();
    }
  } finally {
    await browser.close();
    await app.close();
  }
} else {
  console.error(`plan_slider is not measured: no Chromium can be had (${chromium.reason})`);
}

async function measure(page: Page, size: string): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.getByText("Sequences", { exact: true }).click();
  const prompt = page.getByRole("spinbutton", { name: "Prompt", exact: true });
  const slider = page.getByRole("slider", { name: "Response, slider" });
  const field = page.getByRole("spinbutton", { name: "Response", exact: true });

  const drags: Work[] = [];
  const frames: number[] = [];
  for (let drag = 0; drag <= DRAGS; drag += 1) {
    await prompt.fill(String(500 + drag));
    await settled(page);
    const before = await workOf(devtools);
    const { changes, frameMs } = await dragAcross(page, slider, drag % 2 === 0);
    const work = perChange(before, await workOf(devtools), changes);
    // The first one warms up.
    if (drag === 0) continue;
    drags.push(work);
    frames.push(...frameMs);
  }
  tell(`plan_slider_${size}`, drags, {
    frameMedianMs: median(frames),
    frameP95Ms: percentile(frames, 0.95),
    framesOver17Ms: frames.filter((ms) => ms > 17.5).length / frames.length,
  });

  const keystrokes: Work[] = [];
  await field.fill("1000");
  await field.focus();
  await settled(page);
  for (let stroke = 0; stroke < KEYSTROKES; stroke += 1) {
    const before = await workOf(devtools);
    await page.keyboard.press("ArrowUp");
    await settled(page);
    keystrokes.push(perChange(before, await workOf(devtools), 1));
  }
  tell(`plan_number_field_${size}`, keystrokes, {});
}

/** Draws the slider's knob over all of its steps, and counts the changes that came of it. */
async function dragAcross(page: Page, slider: Locator, toTheRight: boolean) {
  const box = await slider.boundingBox();
  if (box === null) throw new Error("the slider is not on the screen");
  const last = Number(await slider.getAttribute("max"));
  const knobPx = 16;
  const xOf = (step: number) => box.x + knobPx / 2 + (step / last) * (box.width - knobPx);
  const y = box.y + box.height / 2;
  // The longest responses are past what the model takes: a refusal is another picture.
  const steps = Array.from({ length: last - 3 }, (_, step) => (toTheRight ? step : last - 4 - step));
  await page.mouse.move(xOf(steps[0] ?? 0), y);
  await page.mouse.down();
  await slider.evaluate((element) => {
    const seen: { changes: number; frames: number[]; running: boolean } = { changes: 0, frames: [], running: true };
    Object.assign(window, { seen });
    element.addEventListener("input", () => {
      seen.changes += 1;
    });
    const frame = (timeMs: number) => {
      seen.frames.push(timeMs);
      if (seen.running) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  for (const step of steps) await page.mouse.move(xOf(step), y);
  await page.mouse.up();
  await settled(page);
  return page.evaluate(() => {
    const { seen } = window as unknown as { seen: { changes: number; frames: number[]; running: boolean } };
    seen.running = false;
    const frameMs = seen.frames.slice(1).map((timeMs, index) => timeMs - (seen.frames[index] ?? timeMs));
    return { changes: seen.changes, frameMs };
  });
}

/** Until what was put off has been drawn too. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise<void>((done) => {
        requestAnimationFrame(() => requestIdleCallback(() => requestAnimationFrame(() => done()), { timeout: 1000 }));
      }),
  );
}

/** Milliseconds of the main thread's own CPU time. */
interface Work {
  readonly all: number;
  readonly script: number;
  readonly layout: number;
  readonly style: number;
}

async function workOf(devtools: CDPSession): Promise<Work> {
  const { metrics } = await devtools.send("Performance.getMetrics");
  const ms = (name: string) => 1000 * (metrics.find((metric) => metric.name === name)?.value ?? Number.NaN);
  return {
    all: ms("TaskDuration"),
    script: ms("ScriptDuration"),
    layout: ms("LayoutDuration"),
    style: ms("RecalcStyleDuration"),
  };
}

function perChange(before: Work, after: Work, changes: number): Work {
  const of = (part: keyof Work) => (after[part] - before[part]) / changes;
  return { all: of("all"), script: of("script"), layout: of("layout"), style: of("style") };
}

function tell(name: string, works: readonly Work[], settings: Readonly<Record<string, number>>): void {
  const part = (of: keyof Work) => works.map((work) => work[of]);
  report({
    name,
    unit: "ms",
    samples: part("all"),
    settings: {
      p95: percentile(part("all"), 0.95),
      script: median(part("script")),
      layout: median(part("layout")),
      style: median(part("style")),
      ...settings,
    },
  });
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
