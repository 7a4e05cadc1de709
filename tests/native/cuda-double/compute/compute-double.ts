/** Builds the double of the driver that can compute: the CUDA kernels' sources and the emulation of a block, as one library. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { type CudaDouble, installCudaDouble } from "../cuda-double.ts";

export const NATIVE = resolve(import.meta.dirname, "../../../../native");
export const KERNELS = join(NATIVE, "compute/cuda/kernels");
const DOUBLE = dirname(import.meta.dirname);

/** A kernel source to take instead of the real one. */
export interface Changed {
  readonly file: string;
  readonly source: string;
  /** The kernel files that are built anew. */
  readonly rebuild: readonly string[];
}

const run = promisify(execFile);

/**
 * Two files at a time, with the compiler of CXX or the system's. What `objects` has of an earlier build is taken from there,
 * but for what is changed.
 */
export async function buildComputeDouble(
  output: string,
  objects: string,
  flags: readonly string[],
  changed?: Changed,
): Promise<void> {
  const instead = join(objects, "compute/cuda/kernels");
  mkdirSync(instead, { recursive: true });
  if (changed) writeFileSync(join(instead, changed.file), changed.source);
  const sources = [...sourcesIn(KERNELS, ".cu"), ...sourcesIn(DOUBLE, ".cc"), ...sourcesIn(import.meta.dirname, ".cc")];
  const objectOf = (source: string) => join(objects, `${basename(dirname(source))}-${basename(source)}.o`);
  const isStale = (source: string) => changed?.rebuild.includes(basename(source)) || !existsSync(objectOf(source));
  const waiting = sources.filter(isStale);
  const common = [
    ...["-std=c++20", "-fPIC", "-fvisibility=hidden", "-pthread", "-fno-strict-aliasing", "-Wno-unknown-pragmas"],
    // What was changed comes first.
    ...[`-I${objects}`, `-I${NATIVE}`, `-I${import.meta.dirname}`, `-I${DOUBLE}`],
    ...flags,
  ];
  const compiler = process.env.CXX ?? "c++";
  const work = async (): Promise<void> => {
    for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
      const from = basename(source) === changed?.file ? join(instead, changed.file) : source;
      await run(compiler, [...common, "-x", "c++", "-c", from, "-o", objectOf(source)]);
    }
  };
  await Promise.all([work(), work()]);
  await run(compiler, [...flags, "-shared", ...sources.map(objectOf), "-ldl", "-lpthread", "-o", output]);
  // The next build starts from the sources again.
  for (const name of changed?.rebuild ?? []) {
    for (const source of sources) if (basename(source) === name) rmSync(objectOf(source));
  }
  if (changed) rmSync(join(instead, changed.file));
}

function sourcesIn(folder: string, extension: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(extension))
    .map((file) => join(folder, file));
}

/** The double of cuBLAS that works on a card of the one above. */
export async function buildCublasDouble(output: string, flags: readonly string[]): Promise<void> {
  const common = ["-std=c++20", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared"];
  const source = join(DOUBLE, "cublas/cublas.cc");
  await run(process.env.CXX ?? "c++", [...common, ...flags, source, "-ldl", "-o", output]);
}

/**
 * The doubles of installCudaDouble, with a driver that computes, and with `cublas` a double of that; no other is looked for.
 * With TIDELINE_DOUBLE_GUARDED in the environment the processor faults on device memory, which costs milliseconds per
 * launch: for looking for such an access, not for every run.
 */
export async function installComputeDouble({ cublas = false } = {}): Promise<CudaDouble> {
  const double = installCudaDouble();
  const driver = join(double.folder, "libcuda-computes.so");
  const library = join(double.folder, "libcublas-double.so");
  await buildComputeDouble(driver, join(double.folder, "objects"), ["-O2"]);
  if (cublas) await buildCublasDouble(library, ["-O2"]);
  // What is loaded counts for nothing: the double has the kernels' sources.
  const image = join(double.folder, "image");
  writeFileSync(image, "kernels");
  Object.assign(process.env, {
    TIDELINE_CUDA_DRIVER: driver,
    TIDELINE_CUDA_KERNELS: image,
    TIDELINE_CUBLAS: cublas ? library : "none",
  });
  return double;
}
