/** When a start builds again, and when it does not. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { hashInputs, isInstalled, isStale, markFresh } from "../../../electron/launch/staleness.mjs";

let root: string;
const step = { name: "thing", inputs: ["src", "one.json"], outputs: ["dist/out.js"], ignored: /^src\/build|\.md$/ };

function write(path: string, contents: string) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), contents);
}

function build() {
  markFresh(root, step, hashInputs(root, step.inputs, step.ignored));
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tideline-stale-"));
  write("src/a.ts", "a");
  write("src/deep/b.ts", "b");
  write("one.json", "{}");
  write("dist/out.js", "built");
});

describe("a step is stale", () => {
  it("until it was done once", () => {
    expect(isStale(root, step)).toBe(true);
    build();
    expect(isStale(root, step)).toBe(false);
  });

  it.each([
    ["a file changes", () => write("src/deep/b.ts", "B")],
    ["a file is added", () => write("src/c.ts", "")],
    ["a file goes", () => rmSync(join(root, "src/a.ts"))],
    [
      "a file is renamed",
      () => {
        rmSync(join(root, "src/a.ts"));
        write("src/z.ts", "a");
      },
    ],
    ["a single input changes", () => write("one.json", "[]")],
    ["what it made is gone", () => rmSync(join(root, "dist/out.js"))],
  ])("when %s", (_, change) => {
    build();
    change();
    expect(isStale(root, step)).toBe(true);
  });

  it.each([
    ["times change and contents do not", () => utimesSync(join(root, "src/a.ts"), 1, 1)],
    [
      "something ignored changes",
      () => {
        write("src/build/x.o", "1");
        write("src/notes.md", "2");
      },
    ],
    ["something else changes", () => write("other/file", "x")],
  ])("not when %s", (_, change) => {
    build();
    change();
    expect(isStale(root, step)).toBe(false);
  });

  it("when an input was edited while it was being built", () => {
    const hash = hashInputs(root, step.inputs, step.ignored);
    write("src/a.ts", "edited meanwhile");
    markFresh(root, step, hash);
    expect(isStale(root, step)).toBe(true);
  });
});

describe("dependencies are installed", () => {
  const lock = (packages: object) => JSON.stringify({ lockfileVersion: 3, packages });
  const wanted = {
    "": { name: "it", version: "1.0.0" },
    "node_modules/a": { version: "1.0.0" },
    "node_modules/only-on-windows": { version: "2.0.0", optional: true },
  };

  it("when npm's own list has every package in its version", () => {
    write("package-lock.json", lock(wanted));
    expect(isInstalled(root)).toBe(false);
    write("node_modules/.package-lock.json", lock({ "node_modules/a": { version: "1.0.0" } }));
    expect(isInstalled(root)).toBe(true);
  });

  it("not when a version differs or one is new", () => {
    write("node_modules/.package-lock.json", lock({ "node_modules/a": { version: "1.0.0" } }));
    write("package-lock.json", lock({ ...wanted, "node_modules/a": { version: "1.0.1" } }));
    expect(isInstalled(root)).toBe(false);
    write("package-lock.json", lock({ ...wanted, "node_modules/b": { version: "1.0.0" } }));
    expect(isInstalled(root)).toBe(false);
  });
});
