/** The Plan screen, over both doors: from a preset to a verdict, to a plan that fits, to others, and to a run of it. */
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { PlanPage } from "./pages/plan-page.ts";
import { PpoPage } from "./pages/ppo-page.ts";
import { closeSharedBrowser, type DoorKind, type OpenDoor, openDoor } from "./support/doors.ts";

const chromium = inject("chromium") ?? "";
const ADAM_OFFLOAD = "7B PPO on one H100, Adam on the host";
const DEMO = "The demo, on this machine";
const FOLDER = resolve("tests/output/screenshots");

afterAll(closeSharedBrowser);

describe.skipIf(chromium === "").each<DoorKind>(["browser", "desktop"])("a plan through the %s door", (kind) => {
  let door: OpenDoor;
  let plan: PlanPage;

  beforeEach(async () => {
    door = await openDoor(kind, chromium);
    plan = new PlanPage(door.run.page);
    await plan.goTo("Plan");
  });

  afterEach(async () => {
    await door.close();
    expect(door.problems).toEqual([]);
  });

  it("a strategy says what it saves, switching it off takes so much, and one button makes the plan fit again", async () => {
    await plan.says(/^fits/);
    const before = await plan.bars();
    await plan
      .strategy("Optimizer on the host")
      .getByText(/saves [\d.]+\sGiB, costs/)
      .waitFor();

    await plan.toggle("Optimizer on the host");
    await plan.says(/^does not fit .* too much\.$/);
    expect(await plan.bars()).not.toEqual(before);
    await plan
      .strategy("Optimizer on the host")
      .getByText(/would save [\d.]+\sGiB/)
      .waitFor();

    await plan.press("Make it fit");
    await plan.says(/^fits/);
    await plan.plan.getByRole("button", { name: "Undo" }).click();
    await plan.says(/^does not fit/);
    await plan.plan.getByRole("button", { name: "Undo" }).click();
    expect(await plan.bars()).toEqual(before);
  });

  it("where no strategy is enough, changes are offered from the smallest, each with one click", async () => {
    await plan.plan.getByRole("combobox", { name: "GPU" }).selectOption("RTX 4090");
    await plan.says(/^does not fit/);
    await plan.press("Make it fit");
    const changes = plan.dialog.getByRole("listitem");
    await changes.first().waitFor();
    await changes
      .first()
      .getByRole("button", { name: /^Apply/ })
      .click();
    await plan.dialog.waitFor({ state: "detached" });
    await plan.says(/^fits/);
  });

  it("what is wrong is said at its field, in the verdict too, and the form survives a reload", async () => {
    const batch = plan.plan.getByRole("spinbutton", { name: "Batch", exact: true });
    await batch.fill("0");
    await plan.plan.getByText("must be a whole number from 1 to 1048576").waitFor();
    await plan.says("impossible workload.batch: must be a whole number");
    expect(await batch.getAttribute("aria-invalid")).toBe("true");
    await batch.fill("96");
    // Its group has opened for what was wrong in it, and stays: nobody is thrown out of a field they type in.
    const microBatch = plan.plan.getByRole("spinbutton", { name: "Micro-batch" });
    await microBatch.focus();
    await plan.page.keyboard.press("End");
    await plan.page.keyboard.type("99");
    await plan.plan.getByText("must be at most the batch, 96").waitFor();
    await plan.page.keyboard.press("Backspace");
    await plan.page.keyboard.press("Backspace");
    await plan.says(/^(fits|does not fit|tight)/);
    expect(await microBatch.inputValue()).toBe("1");
    await plan.says(/^(fits|does not fit|tight)/);

    await plan.page.reload();
    await plan.verdict.waitFor();
    expect(await batch.inputValue()).toBe("96");
  });

  it("a plan goes out as one line and comes back as it was", async () => {
    await plan.toggle("Release the KV cache");
    const said = await plan.sentence();
    await plan.choose("Share", "Copy as one line");
    await plan.page.getByText("The plan's line is on the clipboard").waitFor();
    await plan.start("0.5B PPO on one RTX 4090");
    await expect.poll(() => plan.sentence()).not.toBe(said);

    await plan.choose("Share", "Paste a line…");
    await plan.dialog.getByRole("textbox").focus();
    await plan.page.keyboard.press("Control+v");
    await plan.dialog.getByText(new RegExp(`^${ADAM_OFFLOAD}: `)).waitFor();
    await plan.dialog.getByRole("button", { name: "Open plan" }).click();
    await expect.poll(() => plan.sentence()).toBe(said);
    expect(await plan.name()).toBe(ADAM_OFFLOAD);
  });

  it("a config.json that is dropped becomes the model; one without its fields is refused by their names", async () => {
    const config = {
      model_type: "qwen2",
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      vocab_size: 151_936,
      max_position_embeddings: 32_768,
      tie_word_embeddings: true,
    };
    const before = await plan.bars();
    await plan.drop("config.json", JSON.stringify(config));
    await expect.poll(() => plan.bars()).not.toEqual(before);
    await plan.says(/^fits/);
    // It is the 0.5B of the catalogue.
    const dropped = await plan.bars();
    await plan.plan.getByRole("button", { name: "Undo" }).click();
    expect(await plan.bars()).toEqual(before);

    await plan.drop("config.json", JSON.stringify({ ...config, num_hidden_layers: undefined }));
    await plan.page
      .getByText(/num_hidden_layers/)
      .first()
      .waitFor();
    expect(await plan.bars()).toEqual(before);
    expect(dropped).not.toEqual(before);
  });

  it("a plan's file is opened, dropped or chosen; one with a field that is none says which there are", async () => {
    const file = readFileSync("assets/plans/rtx4090-half-billion.json", "utf8");
    const { name } = JSON.parse(file);
    const changed = file.replace(name, "Mine, from a file");
    expect(changed).not.toBe(file);
    await plan.drop("mine.json", changed);
    await expect.poll(() => plan.name()).toBe("Mine, from a file");

    const chooser = plan.page.waitForEvent("filechooser");
    await plan.choose("Share", "Open a file…");
    await (await chooser).setFiles({ name: "theirs.json", mimeType: "application/json", buffer: Buffer.from(file) });
    await expect.poll(() => plan.name()).toBe(name);

    await plan.drop("wrong.json", file.replace('"batch"', '"bacth"'));
    await plan.page
      .getByText(/workload\.bacth/)
      .first()
      .waitFor();
    expect(await plan.name()).toBe(name);
  });

  it("is written down for launchers, with what they cannot say, and as a picture that stands by itself", async () => {
    const chart = await plan.chart.getByLabel(/bytes per phase$/).boundingBox();
    await plan.press("Export…");
    const flags = plan.dialog.getByRole("region", { name: "Flags of a launcher" });
    await flags.getByText("--vllm.gpu_memory_utilization").waitFor();
    await flags.getByRole("radio", { name: "SGLang" }).check({ force: true });
    await flags.getByText("--mem-fraction-static").first().waitFor();
    await flags
      .getByRole("button", { name: /^Copy the/ })
      .first()
      .click();
    await flags.getByText("Copied").waitFor();

    if (kind === "browser") {
      const saved = plan.page.waitForEvent("download");
      await plan.dialog.getByRole("button", { name: "SVG" }).click();
      const file = await (await saved).path();
      const picture = readFileSync(file, "utf8");
      expect(picture).toContain(ADAM_OFFLOAD);
      expect(picture).not.toContain("var(--");

      const drawn = plan.page.waitForEvent("download");
      await plan.dialog.getByRole("button", { name: "PNG" }).click();
      const png = readFileSync(await (await drawn).path());
      const { width, height, colours } = await decoded(plan, png);
      // Twice as many pixels as the chart has on the screen, with its title above it.
      expect(width).toBeGreaterThan(2 * (chart?.width ?? Number.NaN));
      expect(height).toBeGreaterThan(2 * (chart?.height ?? Number.NaN));
      expect(colours).toBeGreaterThan(20);
    }
    await plan.page.keyboard.press("Escape");
  });

  it("eight GPUs apart and four shared stand side by side", async () => {
    await plan.start("engines apart");
    await plan.chart.getByRole("combobox", { name: "Drawn beside the plan" }).waitFor();
    const differences = await plan.show("Differences");
    await differences.getByText(/4 GPUs against 8/).waitFor();
    await plan.choose("Beside", "Exchange the two");
    await differences.getByText(/8 GPUs against 4/).waitFor();
  });

  it("runs here, and what a step measured is what was predicted, consumer by consumer", async () => {
    await plan.start(DEMO);
    await plan.says(/^fits/);
    await plan.toggle("Release the KV cache");
    await plan.press("Run this plan");
    const ppo = new PpoPage(plan.page);
    await ppo.standsAt("nothing has run yet");
    await ppo.step("Step");
    await ppo.standsAt("step 2 · rollout");

    await plan.goTo("Plan");
    const differences = await plan.show("Differences");
    await differences.getByText("Measured less predicted").waitFor();
    const whole = await differences
      .getByRole("row", { name: /^Difference/ })
      .getByRole("cell")
      .allTextContents();
    expect(whole).toHaveLength(9);
    // The first step takes some of its memory at first use; from then on every phase is as predicted.
    await plan.goTo("Run");
    await ppo.step("Step");
    await ppo.standsAt("step 3 · rollout");
    await plan.goTo("Plan");
    await plan.chart.getByRole("combobox").getByText("Beside: measured, step 2").waitFor({ state: "attached" });
    const difference = differences.getByRole("row", { name: /^Difference/ }).getByRole("cell");
    expect(await difference.allTextContents()).toEqual(Array.from({ length: 9 }, () => "+0.0 %"));

    await plan.chart.getByRole("radio", { name: "Over time" }).check();
    const over = plan.chart.getByText(/^Measured of predicted in step 2:/);
    await over.waitFor({ state: "attached" });
    const [, measuredPeak, predictedPeak] = (await over.textContent())?.match(/train_policy (.+?) of (.+?),/) ?? [];
    expect(measuredPeak).toMatch(/MiB$/);
    expect(measuredPeak).toBe(predictedPeak);
  });

  it.skipIf(kind === "desktop")("nothing sticks out of the window, at two sizes, light and dark", async () => {
    mkdirSync(FOLDER, { recursive: true });
    await plan.start("colocated on 4 H100");
    for (const size of [
      { width: 1280, height: 800 },
      { width: 1920, height: 1080 },
    ]) {
      for (const colorScheme of ["light", "dark"] as const) {
        await plan.page.setViewportSize(size);
        await plan.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await plan.page.screenshot({ path: join(FOLDER, `plan-${size.width}-${colorScheme}.png`) });
        expect(await overflowing(plan)).toEqual([]);
      }
    }
  });
});

/** A PNG as a page sees it: its size, and how many colours it has. */
function decoded({ page }: PlanPage, png: Buffer) {
  expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  return page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context?.drawImage(image, 0, 0);
    const pixels = context?.getImageData(0, 0, image.width, image.height).data ?? new Uint8ClampedArray();
    return { width: image.width, height: image.height, colours: new Set(new Uint32Array(pixels.buffer)).size };
  }, png.toString("base64"));
}

/** Elements of the page that stick out sideways. */
function overflowing({ page }: PlanPage): Promise<readonly string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((element) => {
        const box = element.getBoundingClientRect();
        const isHidden = element.closest(".visually-hidden") !== null;
        return !isHidden && box.width > 0 && (box.left < -1 || box.right > window.innerWidth + 1);
      })
      .map((element) => `${element.tagName} ${element.getAttribute("class")}`),
  );
}
