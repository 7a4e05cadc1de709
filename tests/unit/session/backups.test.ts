/** Backups to disk do not pile up: what a crashed process left behind goes, what a running one has stays. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ownBackupsFolder, removeStaleBackups } from "../../../electron/session/backups.ts";

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
