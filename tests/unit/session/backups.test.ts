/** Backups to disk do not pile up: what a crashed process left behind goes, what a running one has stays. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { ownBackupsFolder, removeStaleBackups } from "../../../electron/session/backups.ts";

/** Folders that the system does not let go of, as one on a disk that went bad. */
const stuck = vi.hoisted(() => new Set<string>());
vi.mock(import("node:fs/promises"), async (original) => {
  const real = await original();
  const rm: typeof real.rm = async (path, options) => {
    if (stuck.has(String(path))) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO", syscall: "rm" });
    await real.rm(path, options);
  };
  return { ...real, rm };
});

it("says which folder cannot be removed, and removes the others", async () => {
  const parent = mkdtempSync(join(tmpdir(), "tideline-backups-"));
  onTestFinished(() => rmSync(parent, { recursive: true }));
  const gone = [1, 2].map(() => spawnSync(process.execPath, ["--version"]).pid).sort();
  const [first = "", second = ""] = gone.map((pid) => join(parent, `${hostname()}-${pid}`));
  for (const folder of [first, second]) mkdirSync(folder);
  stuck.add(first);
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await removeStaleBackups(parent);
  expect(said.mock.calls).toEqual([[expect.stringContaining(first), expect.any(Error)]]);
  expect([existsSync(first), existsSync(second)]).toEqual([true, false]);
});

it("removes the folders of processes that are gone, and no others", async () => {
  const parent = mkdtempSync(join(tmpdir(), "tideline-backups-"));
  const { pid: gone } = spawnSync(process.execPath, ["--version"]);
  const names = {
    gone: `${hostname()}-${gone}`,
    init: `${hostname()}-1`,
    elsewhere: `another-machine-${gone}`,
    other: "notes",
  };
  for (const folder of [ownBackupsFolder(parent), ...Object.values(names).map((name) => join(parent, name))]) {
    mkdirSync(folder);
    writeFileSync(join(folder, "weights.tideline-backup"), "bytes");
  }
  await removeStaleBackups(parent);
  expect(existsSync(join(parent, names.gone))).toBe(false);
  expect(existsSync(ownBackupsFolder(parent))).toBe(true);
  for (const kept of [names.init, names.elsewhere, names.other])
    expect(existsSync(join(parent, kept)), kept).toBe(true);
});

it("is content when there never was a backup", async () => {
  await removeStaleBackups("/nonexistent/backups");
});
