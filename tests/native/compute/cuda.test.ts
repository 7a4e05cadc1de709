/**
 * Every call of Compute by the CUDA kernels' own sources against the host: run by fibers on this machine
 * (../cuda-double/compute), with AddressSanitizer watching every access.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildComputeDouble, KERNELS, NATIVE } from "../cuda-double/compute/compute-double.ts";
import { ADDON_FILE } from "../support.ts";

const run = promisify(execFile);
const ASAN = ["-O1", "-g1", "-fsanitize=address,bounds", "-fno-omit-frame-pointer"];

const folder = mkdtempSync(join(tmpdir(), "tideline-compute-"));
const program = join(folder, "check");
const objects = join(folder, "objects");
const image = join(folder, "image");
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  writeFileSync(image, "the double needs none");
  const sources = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".cc"));
  const library = join(ADDON_FILE, "../../libtideline_core.a");
  // A sanitized library needs the sanitizers' runtime.
  const sanitize = resolve(ADDON_FILE).includes("sanitize") ? "-fsanitize=address,undefined" : "-fsanitize=address";
  await Promise.all([
    buildComputeDouble(join(folder, "sound.so"), objects, ASAN),
    run(process.env.CXX ?? "c++", [
      ...["-std=c++20", "-O1", "-g1", sanitize, `-I${NATIVE}`],
      ...sources.map((file) => join(import.meta.dirname, file)),
      ...[library, "-lpthread", "-ldl", "-o", program],
    ]),
  ]);
}, 300_000);

/** What the program says, whether it is content or not. */
async function check(double: string, environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const env = { PATH: process.env.PATH, TIDELINE_CUDA_DRIVER: double, TIDELINE_CUDA_KERNELS: image, ...environment };
  try {
    const { stdout, stderr } = await run(program, { env });
    return stdout + stderr;
  } catch (error) {
    if (error instanceof Error && "stdout" in error && "stderr" in error) return `${error.stdout}${error.stderr}`;
    throw error;
  }
}

test("computes what the host computes, whatever the sizes, types and shapes, whichever thread comes first", async () => {
  expect(await check(join(folder, "sound.so"))).toMatch(/^\d{3} checks, 0 failures\n$/);
  expect(await check(join(folder, "sound.so"), { TIDELINE_DOUBLE_ORDER: "reverse" })).toMatch(/ 0 failures\n$/);
}, 300_000);

/** Mistakes of the kinds that GPUs do not report, one source each, and what says so here. */
const MISTAKES = [
  {
    what: "a sum that leaves a warp out",
    file: "kernel.h",
    from: "for (unsigned warp = 1; warp < kThreads / kWarp; ++warp) sum +=",
    to: "for (unsigned warp = 2; warp < kThreads / kWarp; ++warp) sum +=",
    found: /FAIL norm of /,
  },
  {
    what: "a missing barrier",
    file: "rows.cu",
    from: "  partials[part][within] = sum;\n  __syncthreads();",
    to: "  partials[part][within] = sum;",
    found: /FAIL sums of /,
  },
  {
    what: "a barrier that not all threads reach",
    file: "rows.cu",
    from: "  partials[part][within] = sum;",
    to: "  partials[part][within] = sum;\n  if (column >= args.columns) return;",
    found: /threads wait at .*rows\.cu:\d+ for others that never come/,
  },
  {
    what: "a shuffle without all lanes",
    file: "norms.cu",
    from: "  squares = BlockSum<kRowThreads>(squares, partials);",
    to: "  if (Lane() < 20) squares = BlockSum<kRowThreads>(squares, partials);",
    found: /rms_norm.*: threads wait at .*kernel\.h:\d+ for others that never come/,
  },
  {
    what: "a row too many",
    file: "rows.cu",
    from: "  if (column >= args.size) return;\n  const float* gate",
    to: "  if (column > args.size) return;\n  const float* gate",
    found: /AddressSanitizer: heap-buffer-overflow/,
  },
] as const;

test.each(MISTAKES)(
  "finds $what",
  async ({ file, from, to, found }) => {
    const source = readFileSync(join(KERNELS, file), "utf8");
    expect(source).toContain(from);
    const broken = join(folder, "broken.so");
    // The mistakes are in what these use.
    await buildComputeDouble(broken, objects, ASAN, {
      file,
      source: source.replace(from, to),
      rebuild: ["rows.cu", "norms.cu"],
    });
    expect(await check(broken)).toMatch(found);
  },
  300_000,
);
