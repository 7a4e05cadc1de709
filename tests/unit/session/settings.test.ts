/** What is remembered between starts, and what a damaged file costs. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { TidelineError } from "../../../core/errors.ts";
import { openSettings } from "../../../electron/session/settings.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tideline-settings-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

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

it("keeps what another Tideline has saved meanwhile", () => {
  const window = openSettings(folder);
  const link = { hostToDeviceBytesPerSecond: 2, deviceToHostBytesPerSecond: 3, memoryBytesPerSecond: 4 };
  const measured = { ...link, bytes: 5, repetitions: 6 };
  openSettings(folder).saveLink({ name: "cuda:0", description: "a GPU" }, measured);
  window.addRecent({ path: "/m/1", name: "m1" });
  const next = openSettings(folder);
  expect(next.linkOf({ name: "cuda:0", description: "a GPU" })).toEqual(measured);
  expect(next.recents).toEqual([{ path: "/m/1", name: "m1" }]);
});

it("forgets a value that makes no sense and keeps the others", () => {
  openSettings(folder).saveBackend({ capacityBytes: 1000, samplingHertz: 50 });
  const file = join(folder, "settings.json");
  writeFileSync(file, readFileSync(file, "utf8").replace("1000", "-5"));
  expect(openSettings(folder).backend).toMatchObject({ capacityBytes: 256 * 2 ** 20, samplingHertz: 50 });
});

it.each(["", "{ half a fi", "[1]", "null", "3", "\u0000\u0001"])(
  "starts afresh when the file holds %j, which stays beside it",
  (text) => {
    const said = vi.spyOn(console, "error").mockReturnValue();
    onTestFinished(() => said.mockRestore());
    const file = join(folder, "settings.json");
    writeFileSync(file, text);
    const settings = openSettings(folder);
    expect(settings.backend.device).toBe("host");
    settings.saveBackend({ samplingHertz: 50 });
    expect(readFileSync(`${file}.unreadable`, "utf8")).toBe(text);
    expect(said.mock.calls.flat().join()).toContain(`${file}.unreadable`);
  },
);

it("reads what an editor saved with a byte order mark and CRLF", () => {
  writeFileSync(join(folder, "settings.json"), '\uFEFF{\r\n  "samplingHertz": 50\r\n}\r\n');
  expect(openSettings(folder).backend.samplingHertz).toBe(50);
});

it("says in words that the file cannot be read or written, and what to do", () => {
  const file = join(folder, "settings.json");
  const settings = openSettings(folder);
  const refused = { code: "bad_argument", file, hint: "Move it away: Tideline makes a new one." };
  writeFileSync(file, "");
  truncateSync(file, 2 ** 31);
  expect(failureOf(() => openSettings(folder))).toEqual({
    ...refused,
    message: `${file} has 2.00 GiB: must have at most 4.00 MiB`,
  });
  rmSync(file);
  mkdirSync(file);
  expect(failureOf(() => openSettings(folder))).toEqual({ ...refused, message: `${file} is a folder, not a file` });
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "");
  expect(failureOf(() => settings.saveBackend({ samplingHertz: 50 }))).toMatchObject({
    message: `${file} cannot be written: a file is in the way`,
  });
});

function failureOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error instanceof TidelineError ? error.data : error;
  }
  return undefined;
}
