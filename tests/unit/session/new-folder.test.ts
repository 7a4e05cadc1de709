/** Where a checkpoint or backups are to go is looked at before, and what cannot be is said with the folder and what to do. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type TidelineErrorData, toErrorData } from "../../../core/errors.ts";
import { makeBackupsFolder } from "../../../electron/session/backups.ts";
import { makeFolder, requireNewFolder } from "../../../electron/session/new-folder.ts";
import { openSettings } from "../../../electron/session/settings.ts";

let parent = "";
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "tideline-folders-"));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

function failureOf(make: () => unknown): TidelineErrorData | undefined {
  try {
    make();
    return undefined;
  } catch (error) {
    return toErrorData(error);
  }
}

describe("a new folder for a checkpoint", () => {
  it("may be there and empty, or be missing with those above it; nothing is made yet", async () => {
    mkdirSync(join(parent, "empty"));
    for (const name of ["empty", "new", "one/two/three"]) await requireNewFolder(join(parent, name));
    expect(readdirSync(parent)).toEqual(["empty"]);
  });

  it("is refused where it holds something, where a file is in the way, and where none can be", async () => {
    writeFileSync(join(parent, "file"), "keep");
    const refused = async (folder: string, code: string) => {
      await expect(requireNewFolder(folder), folder).rejects.toMatchObject({
        data: { code, file: folder, message: expect.stringContaining(folder), hint: expect.any(String) },
      });
    };
    await refused(parent, "bad_argument");
    await refused(join(parent, "file"), "checkpoint_unwritable");
    await refused(join(parent, "file/below"), "checkpoint_unwritable");
    // Linux refuses folders there as if /proc itself were missing.
    await refused("/proc/tideline/policy", "checkpoint_unwritable");
    expect(readdirSync(parent)).toEqual(["file"]);
  });
});

describe("making a folder", () => {
  it("makes those above it, with the mode, and is content with one that is there", () => {
    const folder = join(parent, "one/two");
    makeFolder(folder, 0o700);
    makeFolder(folder, 0o700);
    expect(statSync(join(parent, "one")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(parent, "one"))).toEqual(["two"]);
  });

  it("for backups or settings ends where none can be made, and says how another is named", () => {
    expect(failureOf(() => makeBackupsFolder("/proc/tideline/backups"))).toMatchObject({
      code: "backup_io",
      hint: expect.stringContaining("TIDELINE_CACHE_DIR"),
    });
    expect(failureOf(() => openSettings("/proc/tideline/settings"))).toMatchObject({
      code: "bad_argument",
      hint: expect.stringContaining("TIDELINE_CONFIG_DIR"),
    });
  });
});
