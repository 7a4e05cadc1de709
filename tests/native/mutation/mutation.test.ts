/**
 * Ten thousand damaged checkpoints against everything that reads them, under AddressSanitizer and
 * UndefinedBehaviorSanitizer: each is a typed error or a success, none is a crash, and what was loaded goes on working.
 *
 * TIDELINE_MUTATION_SEED and TIDELINE_MUTATION_CASES choose others.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const BUILD = join(ROOT, "native", "build-sanitize");
const ADDON = join(BUILD, "Release", "tideline.node");
const SEED = Number(process.env.TIDELINE_MUTATION_SEED ?? 2583);
const CASES = Number(process.env.TIDELINE_MUTATION_CASES ?? 10_000);
const MINUTES = 60_000;

let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tideline-mutation-"));
  buildSanitized();
  await bundle(join(import.meta.dirname, "child.ts"));
}, 8 * MINUTES);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The addon with sanitizers; the compiler only does what is stale. */
function buildSanitized(): void {
  const tool = join(ROOT, "node_modules", "cmake-js", "bin", "cmake-js");
  // No reader of files is a kernel of a GPU.
  const options = ["--CDTIDELINE_SANITIZE=ON", "--CDTIDELINE_CUDA=OFF"];
  const args = [tool, "compile", "-d", "native", "-O", BUILD, ...options, "--parallel", "2"];
  execFileSync(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
}

/** The child as one file that a plain Node runs: a test runner around it would be what the sanitizer watches. */
async function bundle(entry: string): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    build: {
      ssr: entry,
      target: "node20",
      outDir: join(folder, "child"),
      rollupOptions: { output: { entryFileNames: "child.mjs" } },
    },
    ssr: { noExternal: true },
  });
}

/** The sanitizers' runtime has to be there before Node is. */
function preload(): string {
  return ["libasan.so", "libstdc++.so.6"]
    .map((name) => execFileSync("gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).trim())
    .filter((file) => existsSync(file))
    .join(" ");
}

test(`${CASES} damaged checkpoints (seed ${SEED})`, { timeout: 5 * MINUTES }, () => {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, "child", "child.mjs"), ADDON, folder, String(SEED), String(CASES)],
    {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
      env: {
        ...process.env,
        NODE_OPTIONS: "",
        LD_PRELOAD: preload(),
        // Node itself leaks on exit, by design.
        ASAN_OPTIONS: "detect_leaks=0:abort_on_error=0",
        UBSAN_OPTIONS: "print_stacktrace=1",
      },
    },
  );
  const current = join(folder, "current");
  const last = existsSync(current) ? readFileSync(current, "utf8") : "before the first case";
  expect({ status, signal }, `ended at ${last}\n${stderr.slice(-8000)}`).toEqual({ status: 0, signal: null });

  const { cases, outcomes } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}");
  console.log(`seed ${SEED}: ${JSON.stringify(outcomes)}`);
  expect(cases).toBe(CASES);
  // Damage that is never noticed, or always, would mean that the test no longer reaches what it is about.
  expect(Object.keys(outcomes)).toEqual(
    expect.arrayContaining([
      "success",
      "checkpoint_invalid",
      "checkpoint_unreadable",
      "model_unsupported",
      "weights_mismatch",
    ]),
  );
});
