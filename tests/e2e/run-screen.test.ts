/** The Run screen, over both doors: what a person does to memory, sees happen, and is told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { MIB } from "../../core/units.ts";
import type { RunPage } from "./pages/run-page.ts";
import { makeSibling, OTHER_SHAPE } from "./support/checkpoints.ts";
import { closeSharedBrowser, type DoorKind, type OpenDoor, openDoor } from "./support/doors.ts";

const chromium = inject("chromium") ?? "";
const PROMPT = "The harbour";
const KV_CACHE = "engine.kv_cache";
const WEIGHTS = "engine.weights";

let folder: string;
let sibling: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tideline-checkpoints-"));
  sibling = makeSibling(folder, "sibling");
});

afterAll(async () => {
  await closeSharedBrowser();
  rmSync(folder, { recursive: true });
});

describe.skipIf(chromium === "").each<DoorKind>(["browser", "desktop"])(
  "the Run screen through the %s door",
  (kind) => {
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

    it("shows the demo model and a live, painted timeline at a first start", async () => {
      await run.engine.getByText("demo", { exact: true }).waitFor();
      for (const consumer of [WEIGHTS, KV_CACHE, "workspace", "context", "unaccounted"]) {
        await run.consumer(consumer).waitFor();
      }
      await expect.poll(() => run.timeline.paintedShare()).toBeGreaterThan(0.02);
      const { consumers } = await run.timeline.read();
      expect(Object.keys(consumers)).toEqual(expect.arrayContaining([WEIGHTS, KV_CACHE, "context", "unaccounted"]));
    });

    it("streams text while it generates, with tokens per second", async () => {
      // Many at once, so that it takes long enough to be watched.
      await run.watchText();
      await run.startGenerating(PROMPT, 100, 128);
      await run.page
        .getByText(/^(all tokens|end of text)$/)
        .first()
        .waitFor();
      expect(await run.textsSeen()).toBeGreaterThan(2);
      expect(await run.generatedText()).toMatch(/^The harbour\W+\w+/);
      expect(await run.figure("speed").textContent()).toMatch(/tokens\/s/);
    });

    it("gives the KV cache's memory back: less used, a marker with bytes and time, and resumes", async () => {
      const text = await run.generate(PROMPT);
      const shownBefore = await run.timeline.usedBytes();
      const residentBefore = door.residentBytes();
      await run.release(KV_CACHE, /^Discard(?!, hold)/);
      await run.consumer(KV_CACHE).getByText("released", { exact: true }).waitFor();
      await expect.poll(() => run.timeline.usedBytes()).toBeLessThan(shownBefore - 48 * MIB);
      expect(door.residentBytes()).toBeLessThan(residentBefore - 48 * MIB);
      await run.actions.getByText(/freed 64\.0 MiB in [\d.]+ (µs|ms)/).waitFor();
      expect((await run.timeline.markers()).join("\n")).toMatch(
        /release engine\.kv_cache.*[\d.]+ (µs|ms).*64\.0 MiB freed/,
      );

      await run.resume(KV_CACHE);
      await run.consumer(KV_CACHE).getByText("resident", { exact: true }).waitFor();
      await expect.poll(() => run.timeline.usedBytes()).toBeGreaterThan(shownBefore - 16 * MIB);
      expect(await run.generate(PROMPT)).toBe(text);
    });

    it("refuses to generate while the weights are undefined, says why, and offers the way back", async () => {
      const text = await run.generate(PROMPT);
      await run.release(WEIGHTS, /^Discard(?!, hold)/);
      await run.resume(WEIGHTS);
      await run.consumer(WEIGHTS).getByText("contents undefined", { exact: true }).waitFor();
      expect(await run.generateButton.getAttribute("aria-disabled")).toBe("true");
      await run.page.keyboard.press("Control+Enter");
      await run.notices.getByText(/engine\.weights were discarded.*swap in a checkpoint/).waitFor();
      const obstacle = run.engine.getByRole("status");
      expect(await obstacle.textContent()).toMatch(/engine\.weights were discarded/);
      await obstacle.getByRole("button").click();
      await run.engine.getByText("idle").waitFor();
      expect(await run.generate(PROMPT)).toBe(text);
    });

    it.each([
      ["host memory", /^Keep a copy in host memory/, "on host"],
      ["disk", /^Keep a copy on disk/, "on disk"],
    ])("keeps a copy of the weights in %s and brings it back", async (_place, words, chip) => {
      const text = await run.generate(PROMPT);
      await run.release(WEIGHTS, words);
      await run.consumer(WEIGHTS).getByText(chip, { exact: true }).waitFor();
      await run.resume(WEIGHTS);
      await run.consumer(WEIGHTS).getByText("resident", { exact: true }).waitFor();
      expect(await run.generate(PROMPT)).toBe(text);
    });

    it("swaps to another checkpoint's weights and back", async () => {
      const text = await run.generate(PROMPT);
      await run.swapFromFolder(sibling);
      const other = await run.generate(PROMPT);
      expect(other).not.toBe(text);
      await run.runFromPalette("swap in demo");
      await run.engine.getByText("weights v3").waitFor();
      expect(await run.generate(PROMPT)).toBe(text);
    });

    it("swaps from a model in memory, sharing its bytes or copying them", async () => {
      const text = await run.generate(PROMPT);
      await run.loadSecondModel(sibling);
      await run.consumer("policy.weights").waitFor();
      await run.swapFromModel("Share");
      await run.consumer(WEIGHTS).getByText("shared", { exact: true }).waitFor();
      await run.consumer(WEIGHTS).getByText("reads policy.weights").waitFor();
      const shared = await run.generate(PROMPT);
      expect(shared).not.toBe(text);
      await run.swapFromModel("Copy");
      await run.consumer(WEIGHTS).getByText("resident", { exact: true }).waitFor();
      expect(await run.generate(PROMPT)).toBe(shared);
    });

    it("says what is wrong with a path, and keeps the model it has", async () => {
      const text = await run.generate(PROMPT);
      await run.openCheckpoint(join(folder, "nowhere"));
      await run.dialog
        .getByText(/nowhere/)
        .first()
        .waitFor();
      await run.page.keyboard.press("Escape");
      await run.dialog.waitFor({ state: "detached" });
      expect(await run.generate(PROMPT)).toBe(text);
    });

    it("refuses weights of another shape, names the tensor, and changes nothing", async () => {
      const text = await run.generate(PROMPT);
      await run.engine.getByRole("button", { name: "Swap…" }).click();
      await run.dialog.getByRole("textbox", { name: /^Folder on the machine/ }).fill(OTHER_SHAPE);
      await run.dialog.getByRole("button", { name: /^Swap/ }).last().click();
      await run.dialog.locator(".error-message").waitFor();
      await run.page.keyboard.press("Escape");
      await run.dialog.waitFor({ state: "detached" });
      expect(await run.generate(PROMPT)).toBe(text);
    });

    it("opens another checkpoint and remembers it", async () => {
      await run.openCheckpoint(OTHER_SHAPE);
      await run.engine.getByText("tiny-qwen2-tied", { exact: true }).waitFor();
      await run.page.reload();
      await run.waitUntilReady();
      const palette = await run.openPalette();
      await run.page.keyboard.type("open tiny");
      await palette.getByText("Open tiny-qwen2-tied").waitFor();
    });

    it("keeps the timeline and what was done across a reload", async () => {
      await run.release(KV_CACHE, /^Discard(?!, hold)/);
      await run.actions.getByText(/freed 64\.0 MiB/).waitFor();
      const listed = await run.actions.getByRole("listitem").count();
      await run.page.reload();
      await run.engine.getByText("cannot generate").waitFor();
      await run.actions.getByText(/freed 64\.0 MiB/).waitFor();
      expect(await run.actions.getByRole("listitem").count()).toBe(listed);
      expect((await run.timeline.markers()).join("\n")).toContain("release engine.kv_cache");
    });
  },
);
