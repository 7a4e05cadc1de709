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
import { buildComputeDouble, buildCublasDouble, KERNELS, NATIVE } from "../cuda-double/compute/compute-double.ts";
import { ADDON_FILE } from "../support.ts";

const run = promisify(execFile);
const ASAN = ["-O1", "-g1", "-fsanitize=address,bounds", "-fno-omit-frame-pointer"];

const folder = mkdtempSync(join(tmpdir(), "tideline-compute-"));
const program = join(folder, "check");
const cublas = join(folder, "cublas.so");
const objects = join(folder, "objects");
const image = join(folder, "image");
afterAll(() => rmSync(folder, { recursive: true }));

const compiler = process.env.CXX ?? "c++";
const library = join(ADDON_FILE, "../../libtideline_core.a");
// A sanitized library needs the sanitizers' runtime.
const sanitize = resolve(ADDON_FILE).includes("sanitize") ? "-fsanitize=address,undefined" : "-fsanitize=address";
// Its own code is not what is watched: its memory is, by the doubles that it loads.
const programFlags = ["-std=c++20", "-O1", `-I${NATIVE}`];
const checks = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".cc"));
const objectOf = (file: string) => join(folder, `${file}.o`);

/** The checks and the library, and before that what is to be taken instead of the library's own. */
async function link(output: string, instead: readonly string[] = []): Promise<void> {
  const linked = [...checks.map(objectOf), ...instead, library];
  await run(compiler, [sanitize, ...linked, "-lpthread", "-ldl", "-o", output]);
}

async function buildProgram(): Promise<void> {
  for (const file of checks) {
    await run(compiler, [...programFlags, "-c", join(import.meta.dirname, file), "-o", objectOf(file)]);
  }
  await link(program);
}

beforeAll(async () => {
  writeFileSync(image, "the double needs none");
  await Promise.all([
    buildComputeDouble(join(folder, "sound.so"), objects, ASAN),
    buildCublasDouble(cublas, ASAN),
    buildProgram(),
  ]);
}, 300_000);

interface Checked {
  readonly environment?: Readonly<Record<string, string>>;
  readonly program?: string;
  /** Of the checks; left out, all. */
  readonly part?: "rows" | "linear";
}

/** What the program says, whether it is content or not. Without cuBLAS, unless the environment names one. */
async function check(double: string, { environment, program: checked = program, part }: Checked = {}): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    TIDELINE_CUDA_DRIVER: double,
    TIDELINE_CUDA_KERNELS: image,
    TIDELINE_CUBLAS: "none",
    ...environment,
  };
  try {
    const { stdout, stderr } = await run(checked, part ? [part] : [], { env });
    return stdout + stderr;
  } catch (error) {
    if (error instanceof Error && "stdout" in error && "stderr" in error) return `${error.stdout}${error.stderr}`;
    throw error;
  }
}

test("computes what the host computes, whatever the sizes, types and shapes, whichever thread comes first", async () => {
  const sound = join(folder, "sound.so");
  const orders = await Promise.all([check(sound), check(sound, { environment: { TIDELINE_DOUBLE_ORDER: "reverse" } })]);
  for (const said of orders) expect(said).toMatch(/^\d{3,4} checks, 0 failures\n$/);
}, 300_000);

test("computes the same with cuBLAS, and says what is wrong with one that cannot be used", async () => {
  const sound = join(folder, "sound.so");
  const withCublas = (file: string) => check(sound, { environment: { TIDELINE_CUBLAS: file } });
  expect(await withCublas(cublas)).toMatch(/^\d{3,4} checks, 0 failures\n$/);
  expect(await withCublas("/nonexistent/libcublas.so.12")).toMatch(
    /FAIL unsupported: TIDELINE_CUBLAS cannot be used: .*nonexistent/,
  );
  expect(await withCublas(sound)).toMatch(/cannot be used: .*it has no cublasGetVersion_v2/);
}, 300_000);

/** Mistakes in what cuBLAS is asked for. */
const CUBLAS_MISTAKES = [
  {
    what: "an operand that is transposed",
    from: "a_along ? cublas::kAsStored : cublas::kTransposed",
    to: "a_along ? cublas::kTransposed : cublas::kAsStored",
    found: /AddressSanitizer: heap-buffer-overflow/,
  },
  {
    what: "a leading dimension of the other order",
    from: "b_across ? columns : steps",
    to: "b_across ? steps : columns",
    found: /cublas: the leading dimension of A, 37, is less than its rows, 96/,
  },
  {
    what: "float32 that may be rounded to TF32",
    from: "cublas::kCompute32FPedantic : ",
    to: "cublas::kCompute32F : ",
    found: /FAIL input gradient of float32/,
  },
  {
    what: "a sum that is overwritten",
    from: "beta = product.accumulate ? 1 : 0",
    to: "beta = 0",
    found: /FAIL weight gradient of float32/,
  },
  {
    what: "a gradient's sum that is rounded on the way",
    from: "cublas::kNoReducedPrecisionReduction",
    to: "static_cast<cublas::MathMode>(0)",
    found: /FAIL weight gradient of bfloat16/,
  },
  {
    what: "a workspace that is set before the stream",
    from: "  stream_.Run([&](cuda::Stream) { Check(library_.SetWorkspace(handle_, workspace, bytes)",
    to: "  stream_.Run([&](cuda::Stream stream) { library_.SetWorkspace(handle_, workspace, bytes); Check(library_.SetStream(handle_, stream)",
    found: /cublas: no workspace was set, or not after the stream/,
  },
] as const;

test.concurrent.each(CUBLAS_MISTAKES)(
  "finds $what",
  async ({ from, to, found }) => {
    const source = readFileSync(join(NATIVE, "compute/cuda/cublas.cc"), "utf8");
    expect(source).toContain(from);
    const own = mkdtempSync(join(folder, "mistake-"));
    const changed = join(own, "cublas.cc");
    const object = join(own, "cublas.o");
    const broken = join(own, "check");
    writeFileSync(changed, source.replace(from, to));
    await run(compiler, [...programFlags, "-c", changed, "-o", object]);
    await link(broken, [object]);
    const environment = { TIDELINE_CUBLAS: cublas };
    expect(await check(join(folder, "sound.so"), { environment, program: broken, part: "linear" })).toMatch(found);
  },
  300_000,
);

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
    from: "  if (column >= columns) return;\n  const uint64_t gate",
    to: "  if (column > columns) return;\n  const uint64_t gate",
    found: /AddressSanitizer: heap-buffer-overflow/,
  },
] as const;

test.concurrent.each(MISTAKES)(
  "finds $what",
  async ({ file, from, to, found }) => {
    const source = readFileSync(join(KERNELS, file), "utf8");
    expect(source).toContain(from);
    const broken = join(mkdtempSync(join(folder, "mistake-")), "broken.so");
    // The header's is in what norms use.
    const rebuild = [file === "kernel.h" ? "norms.cu" : file];
    await buildComputeDouble(broken, objects, ASAN, { file, source: source.replace(from, to), rebuild });
    expect(await check(broken, { part: "rows" })).toMatch(found);
  },
  300_000,
);
