/** What is remembered between starts, and what a damaged file costs. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { openSettings } from "../../../electron/session/settings.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tideline-settings-"));
});

it("starts with a small host device", () => {
  expect(openSettings(folder)).toMatchObject({
    backend: { device: "host", capacityBytes: 256 * 2 ** 20, kvCacheBytes: 64 * 2 ** 20, samplingHertz: 100 },
    recents: [],
  });
});

it("keeps recents newest first, each once, at most twelve", () => {
  const settings = openSettings(folder);
  for (let index = 0; index < 20; index++) settings.addRecent({ path: `/m/${index % 15}`, name: `m${index}` });
  const again = openSettings(folder);
  expect(again.recents).toHaveLength(12);
  expect(again.recents[0]).toEqual({ path: "/m/4", name: "m19" });
  expect(new Set(again.recents.map(({ path }) => path)).size).toBe(12);
  again.forgetRecent("/m/4");
  expect(openSettings(folder).recents.some(({ path }) => path === "/m/4")).toBe(false);
});

it("forgets a value that makes no sense and keeps the others", () => {
  openSettings(folder).saveBackend({ capacityBytes: 1000, samplingHertz: 50 });
  const file = join(folder, "settings.json");
  writeFileSync(file, readFileSync(file, "utf8").replace("1000", "-5"));
  expect(openSettings(folder).backend).toMatchObject({ capacityBytes: 256 * 2 ** 20, samplingHertz: 50 });
});

it("starts afresh when the file is not JSON", () => {
  writeFileSync(join(folder, "settings.json"), "{ half a fi");
  expect(openSettings(folder).backend.device).toBe("host");
});
