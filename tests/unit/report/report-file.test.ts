/** Where a report cannot go is said before a run begins, and no half of one is ever there. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { requireWritable, writeReport } from "../../../electron/report/report-file.ts";
import { failureOf, temporaryFolder } from "../checkpoint/files.ts";

it("replaces what was there, and leaves nothing else behind", async () => {
  const folder = await temporaryFolder();
  const file = join(folder, "report.html");
  await writeFile(file, "old");
  await requireWritable(file);
  expect(await readFile(file, "utf8")).toBe("old");
  await writeReport(file, "new");
  expect(await readFile(file, "utf8")).toBe("new");
  expect(await readdir(folder)).toEqual(["report.html"]);
});

it("refuses a folder, and a file in a folder that is not there or is none", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "taken"));
  await writeFile(join(folder, "file"), "");
  for (const [file, why] of [
    [join(folder, "taken"), "is a folder"],
    [join(folder, "missing", "report.html"), "there is no folder"],
    [join(folder, "file", "report.html"), "cannot be written"],
  ] as const) {
    const error = await failureOf(() => requireWritable(file));
    expect(error).toMatchObject({ code: "bad_argument", file });
    expect(error.message).toContain(why);
    expect(error.hint).toBeDefined();
  }
  expect((await readdir(folder)).sort()).toEqual(["file", "taken"]);
});

it("a report that cannot be completed leaves nothing, and what was there stays", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "taken"));
  await writeFile(join(folder, "taken", "kept"), "kept");
  expect(await failureOf(() => writeReport(join(folder, "taken"), "new"))).toMatchObject({ code: "bad_argument" });
  expect(await readdir(folder)).toEqual(["taken"]);
  expect(await readFile(join(folder, "taken", "kept"), "utf8")).toBe("kept");
});
