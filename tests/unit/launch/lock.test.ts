/** Two starts of one clone build it once: what is locked, and what an end at a bad moment leaves behind. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { withLock } from "../../../electron/launch/lock.mjs";

let folder: string;
let lock: string;
let waits: number;
const onWait = () => {
  waits += 1;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tideline-lock-"));
  lock = join(folder, "lock");
  waits = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

it("is held while the work lasts, and gone afterwards, also when it fails", async () => {
  await withLock(lock, onWait, async () => expect(readFileSync(lock, "utf8")).toBe(String(process.pid)));
  expect(existsSync(lock)).toBe(false);
  const failing = withLock(lock, onWait, () => Promise.reject(new Error("the build failed")));
  await expect(failing).rejects.toThrow("the build failed");
  expect(existsSync(lock)).toBe(false);
});

it("lets one work at a time, and says once that another waits", async () => {
  const done: string[] = [];
  let end = () => {};
  const first = withLock(lock, onWait, async () => {
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    done.push("first");
  });
  const second = withLock(lock, onWait, async () => {
    done.push("second");
  });
  expect(waits).toBe(1);
  end();
  await Promise.all([first, second]);
  expect(done).toEqual(["first", "second"]);
  expect(waits).toBe(1);
});

const { pid: gone } = spawnSync(process.execPath, ["--version"]);
it.each([
  ["whose process is gone", String(gone)],
  ["that its process never wrote into", ""],
])("takes over one %s", async (_, text) => {
  writeFileSync(lock, text);
  utimesSync(lock, 0, 0);
  let worked = false;
  await withLock(lock, onWait, async () => {
    worked = true;
  });
  expect([worked, waits]).toEqual([true, 0]);
});

it("says where it cannot be made", async () => {
  const elsewhere = join(folder, "missing", "lock");
  await expect(withLock(elsewhere, onWait, async () => {})).rejects.toThrow(`${elsewhere} cannot be written`);
});
