/** The timeline of the Run screen: the picture, its read-out, and the same data as a table. */
import type { Locator, Page } from "playwright-core";

/** The lane of markers above the plot (renderer/timeline/canvas/geometry.ts), from the stage's upper edge. */
const MARKER_LANE_PX = 18;
const SCAN_STEP_PX = 5;

export interface ReadOut {
  readonly used: string;
  /** Committed bytes as shown, by consumer. */
  readonly consumers: Readonly<Record<string, string>>;
}

export class TimelinePage {
  readonly page: Page;
  readonly panel: Locator;
  readonly stage: Locator;
  readonly readOut: Locator;
  readonly table: Locator;

  constructor(page: Page) {
    this.page = page;
    this.panel = page.getByRole("region", { name: /^Timeline/ });
    this.stage = page.getByRole("application", { name: "Memory over time" });
    this.readOut = page.getByRole("complementary", { name: "Memory at the pointer" });
    this.table = page.getByRole("region", { name: "Memory timeline as a table" }).getByRole("table");
  }

  button(name: string | RegExp): Locator {
    return this.panel.getByRole("toolbar").getByRole("button", { name });
  }

  /** The time below a place of the plot, in seconds since the first sample, as the read-out says it. */
  async timeAt(x: number): Promise<number> {
    const place = await this.at(x);
    // Away first: the read-out follows the pointer, not the view that moved below it.
    await this.page.mouse.move(place.x, 0);
    const time = this.readOut.locator(".timeline-readout-time");
    await time.getByText("Newest sample").waitFor();
    await this.page.mouse.move(place.x, place.y);
    await time.getByText(/^[−\d]/).waitFor();
    return parseShownSeconds((await time.textContent()) ?? "");
  }

  /** Shows everything once there are so many seconds of it: beyond the first and the last sample there is nothing to see. */
  async fitAfter(seconds: number): Promise<void> {
    do {
      await this.page.keyboard.press("f");
    } while ((await this.timeAt(0.95)) < seconds || (await this.timeAt(0.05)) < 0);
    await this.page.mouse.move(0, 0);
  }

  /** Labels of time of which a part is seen and a part is cut off, at either end of the plot. */
  cutTimeLabels(): Promise<readonly string[]> {
    return this.stage.evaluate((stage) => {
      const plot = stage.querySelector(".timeline-axis-clip")?.getBoundingClientRect();
      if (plot === undefined) throw new Error("the timeline has no time axis");
      // How far labels may stand out of the plot: to the left by what the axis leaves them, to the right up to the edge.
      const edges = [plot.left - 28, stage.getBoundingClientRect().right];
      return [...stage.querySelectorAll(".timeline-axis .recharts-cartesian-axis-tick-value")]
        .filter((label) => getComputedStyle(label).visibility !== "hidden")
        .filter((label) => {
          const { left, right } = label.getBoundingClientRect();
          return edges.some((edge) => left < edge - 1 && right > edge + 1);
        })
        .map((label) => label.textContent ?? "");
    });
  }

  /** What the read-out says, at the pointer, a cursor, or now. */
  async read(): Promise<ReadOut> {
    const rows = await this.readOut.getByRole("listitem").all();
    const consumers: Record<string, string> = {};
    for (const row of rows) {
      // "engine.kv_cache: 64.0 MiB committed, 0 B in use, 64.0 MiB reserved"
      const [, name = "", bytes = ""] = /^(\S+): (.+?) committed/.exec((await row.getAttribute("title")) ?? "") ?? [];
      consumers[name] = bytes;
    }
    return { used: (await this.readOut.locator("strong").first().textContent()) ?? "", consumers };
  }

  /** Bytes used on the device by the newest sample. */
  async usedBytes(): Promise<number> {
    return parseShownBytes((await this.readOut.locator("header strong").textContent()) ?? "");
  }

  /** A place in the plot, as a share of its width and height. */
  async at(x: number, y = 0.6): Promise<{ readonly x: number; readonly y: number }> {
    const box = await this.stage.boundingBox();
    if (box === null) throw new Error("the timeline is not visible");
    const [left, right] = [68, 14];
    return { x: box.x + left + (box.width - left - right) * x, y: box.y + box.height * y };
  }

  async zoom(x: number, wheelPx: number): Promise<void> {
    const place = await this.at(x);
    await this.page.mouse.move(place.x, place.y);
    await this.page.mouse.wheel(0, wheelPx);
  }

  async drag(fromX: number, toX: number): Promise<void> {
    const [from, to] = [await this.at(fromX), await this.at(toX)];
    await this.page.mouse.move(from.x, from.y);
    await this.page.mouse.down();
    await this.page.mouse.move((from.x + to.x) / 2, from.y, { steps: 4 });
    await this.page.mouse.move(to.x, to.y, { steps: 4 });
    await this.page.mouse.up();
  }

  async setCursor(x: number, modifier?: "Shift"): Promise<void> {
    const place = await this.at(x);
    if (modifier) await this.page.keyboard.down(modifier);
    await this.page.mouse.click(place.x, place.y);
    if (modifier) await this.page.keyboard.up(modifier);
    await this.page.mouse.move(0, 0);
  }

  /** What the markers say, one after the other from the right: the pointer goes along their lane. */
  async markers(): Promise<string[]> {
    const box = await this.stage.boundingBox();
    if (box === null) throw new Error("the timeline is not visible");
    const found: string[] = [];
    for (let x = box.x + box.width - 16; x > box.x + 68; x -= SCAN_STEP_PX) {
      await this.page.mouse.move(x, box.y + MARKER_LANE_PX);
      const [words] = await this.stage.getByRole("tooltip").allTextContents();
      if (words !== undefined && found.at(-1) !== words) found.push(words);
    }
    return found;
  }

  /** How much of the canvas is painted: 0 is blank. */
  paintedShare(): Promise<number> {
    return this.stage.locator("canvas").evaluate((canvas: HTMLCanvasElement) => {
      const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let painted = 0;
      for (let alpha = 3; alpha < pixels.length; alpha += 4) painted += (pixels[alpha] ?? 0) > 0 ? 1 : 0;
      return painted / (pixels.length / 4);
    });
  }

  /** The table's rows as texts by column. */
  async tableRows(): Promise<readonly Readonly<Record<string, string>>[]> {
    const headers = (await this.table.getByRole("columnheader").allTextContents()).map((text) => text.trim());
    const rows = await this.table.locator("tbody tr").all();
    return Promise.all(
      rows.map(async (row) => {
        const cells = await row.locator("th, td").allTextContents();
        return Object.fromEntries(headers.map((header, column) => [header, cells[column] ?? ""]));
      }),
    );
  }
}

/** "147 MiB used" as bytes, for comparisons that allow for rounding. */
export function parseShownBytes(text: string): number {
  const [, value, unit = ""] = /(\d+(?:\.\d+)?) (B|KiB|MiB|GiB)/.exec(text) ?? [];
  const power = ["B", "KiB", "MiB", "GiB"].indexOf(unit);
  if (power < 0) throw new Error(`no bytes in "${text}"`);
  return Number(value) * 1024 ** power;
}

/** "−12.50 s" or "1:05.00" as seconds. */
export function parseShownSeconds(text: string): number {
  const [, sign, minutes = "0", seconds] = /^(−?)(?:(\d+):)?(\d+(?:\.\d+)?)/.exec(text.trim()) ?? [];
  if (seconds === undefined) throw new Error(`no time in "${text}"`);
  return (sign ? -1 : 1) * (Number(minutes) * 60 + Number(seconds));
}
