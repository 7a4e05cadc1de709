/**
 * The engine and the trainer where cuBLAS is found, played by its double: the golden answers with the tolerances of every
 * other device, in memory of the user's regions alone, and what is left when one of its calls fails.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runGolden } from "../../../electron/golden/run.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, ILLEGAL_ADDRESS } from "../cuda-double/cuda-double.ts";
import { ADDON_FILE, addon, failure } from "../support.ts";
import { openEngine, openTrainer, someGoldenCases } from "./support.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures");
/** More tokens than the kernel for few rows takes. */
const PROMPT = [1, 5, 9, 2, 7, 3, 8, 4, 6, 11, 10, 12];
const ALLOC_FAILED = 3;
const INTERNAL_ERROR = 14;
const NOT_SUPPORTED = 15;

let double: CudaDouble;
beforeAll(async () => {
  double = await installComputeDouble({ cublas: true });
}, 300_000);
afterAll(() => double.remove());
afterEach(() => {
  double.disarm();
});

test("is found where the environment says, with its version", () => {
  expect(addon.findCublas()).toEqual({ path: process.env.TIDELINE_CUBLAS, version: "12.4.5" });
});

describe("without a setting", () => {
  /** What another process finds in folders of `environment` alone. */
  const find = (environment: Readonly<Record<string, string>>) => {
    const elsewhere = { TIDELINE_CUBLAS: "", LD_LIBRARY_PATH: "", CUDA_HOME: "", CUDA_PATH: "" };
    const pythons = { PATH: "", HOME: "", VIRTUAL_ENV: "", CONDA_PREFIX: "" };
    const script = "process.stdout.write(JSON.stringify(require(process.argv[1]).findCublas()))";
    const env = { ...process.env, ...elsewhere, ...pythons, ...environment };
    return JSON.parse(execFileSync(process.execPath, ["-e", script, ADDON_FILE], { env, encoding: "utf8" }));
  };
  const place = (folder: string, file = process.env.TIDELINE_CUBLAS ?? "") => {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, "libcublas.so.12");
    copyFileSync(file, path);
    return path;
  };

  test("is found on the loader's path", () => {
    const folder = join(double.folder, "loader");
    const path = place(folder);
    expect(find({ LD_LIBRARY_PATH: folder })).toEqual({ path, version: "12.4.5" });
  });

  test("is found where pip puts it, in the environment that is active or of the Python on the PATH", (context) => {
    context.skip("path" in find({}), "this machine has a cuBLAS where it comes first");
    const environment = join(double.folder, "venv");
    const path = place(join(environment, "lib/python3.11/site-packages/nvidia/cublas/lib"));
    expect(find({ VIRTUAL_ENV: environment })).toEqual({ path, version: "12.4.5" });
    mkdirSync(join(environment, "bin"));
    writeFileSync(join(environment, "bin/python3"), "", { mode: 0o755 });
    const viaPath = find({ PATH: `/nonexistent:${environment}/bin` });
    expect(viaPath).toMatchObject({ version: "12.4.5" });
    expect(realpathSync(viaPath.path)).toBe(realpathSync(path));
  });

  test("one that does not load is said", (context) => {
    context.skip("path" in find({}), "this machine has a cuBLAS where it comes first");
    const environment = join(double.folder, "damaged");
    const path = place(join(environment, "lib"), join(import.meta.dirname, "linear.cc"));
    expect(find({ CONDA_PREFIX: environment }).problem).toContain(path);
    expect(find({})).toEqual({});
  });
});

test.each([
  // bfloat16
  { name: "tiny-qwen3-qknorm", folder: () => someGoldenCases(double, "tiny-qwen3-qknorm", [1, 2]) },
  // float32
  { name: "ppo-step-llama", folder: () => join(FIXTURES, "ppo/ppo-step-llama") },
])(
  "the golden answers of $name",
  async ({ folder }) => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    const totals = await runGolden([folder()], { json: false, device: "cuda:0" }, { addon, write });
    expect(totals, lines.join("\n")).toEqual({ passed: 1, failed: 0, skipped: 0 });
  },
  300_000,
);

describe("a product that fails", () => {
  test.each([
    { result: ALLOC_FAILED, code: "out_of_memory" },
    { result: NOT_SUPPORTED, code: "unsupported" },
    { result: INTERNAL_ERROR, code: "internal" },
  ])("with $result is $code, and the next request gives the same answer as before", async ({ result, code }) => {
    const engine = await openEngine(double);
    const before = await engine.score(PROMPT);
    for (const nth of [1, 6]) {
      double.arm({ call: "cublasGemmEx", nth, result });
      expect(await failure(() => engine.score(PROMPT))).toMatchObject({ code });
      expect(double.disarm()).toBe(true);
      expect(await engine.score(PROMPT)).toEqual(before);
    }
  });

  test("fails the trainer's step, and scores are the same afterwards", async () => {
    const { trainer, batch } = await openTrainer(double);
    const before = await trainer.scoreTokens(batch);
    double.arm({ call: "cublasGemmEx", nth: 20, result: ALLOC_FAILED });
    expect(await failure(() => trainer.languageStep(batch))).toMatchObject({ code: "out_of_memory" });
    expect(double.disarm()).toBe(true);
    expect(await trainer.scoreTokens(batch)).toEqual(before);
  });
});

test.each(["cublasCreate", "cublasSetStream", "cublasSetMathMode"])(
  "an engine is not made where %s fails, and nothing stays",
  async (call) => {
    const { streams } = double.counts();
    double.arm({ call, nth: 1, result: NOT_SUPPORTED });
    expect(await failure(() => openEngine(double))).toMatchObject({ code: "unsupported" });
    expect(double.disarm()).toBe(true);
    expect(double.counts().streams).toBe(streams);
    await (await openEngine(double)).score(PROMPT);
  },
);

// The last: a lost device stays lost in this process until all has been closed.
test("a device that is lost at a product is said to be", async () => {
  const engine = await openEngine(double);
  double.arm({ call: "cublasGemmEx", nth: 3, result: ILLEGAL_ADDRESS, sticky: true });
  const lost = { code: "device_lost", message: expect.stringContaining("cuda:0 stopped answering") };
  expect(await failure(() => engine.score(PROMPT))).toMatchObject(lost);
  expect(await failure(() => engine.score(PROMPT))).toMatchObject(lost);
});
