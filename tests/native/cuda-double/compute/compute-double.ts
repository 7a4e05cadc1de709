/** Builds the double of the driver that can compute: the CUDA kernels' sources and the emulation of a block, as one library. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { builtOnce } from "../built-once.ts";
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
 * but for what is changed: that lies beside the output.
 */
export async function buildComputeDouble(
  output: string,
  objects: string,
  flags: readonly string[],
  changed?: Changed,
): Promise<void> {
  const own = `${output}.objects`;
  const instead = join(own, "compute/cuda/kernels");
  mkdirSync(objects, { recursive: true });
  if (changed) {
    mkdirSync(instead, { recursive: true });
    writeFileSync(join(instead, changed.file), changed.source);
  }
  const sources = [...sourcesIn(KERNELS, ".cu"), ...sourcesIn(DOUBLE, ".cc"), ...sourcesIn(import.meta.dirname, ".cc")];
  const objectOf = (source: string) =>
    join(
      changed?.rebuild.includes(basename(source)) ? own : objects,
      `${basename(dirname(source))}-${basename(source)}.o`,
    );
  const waiting = sources.filter((source) => !existsSync(objectOf(source)));
  const common = [
    ...["-std=c++20", "-fPIC", "-fvisibility=hidden", "-pthread", "-fno-strict-aliasing", "-Wno-unknown-pragmas"],
    // What was changed comes first.
    ...[`-I${own}`, `-I${NATIVE}`, `-I${import.meta.dirname}`, `-I${DOUBLE}`],
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
export async function installComputeDouble({ cublas = false, devices = 1 } = {}): Promise<CudaDouble> {
  const driver = await builtOnce("libcuda-computes.so", (output, folder) =>
    buildComputeDouble(output, join(folder, "objects"), ["-O2"]),
  );
  const library = cublas
    ? await builtOnce("libcublas-double.so", (output) => buildCublasDouble(output, ["-O2"]))
    : undefined;
  const double = await installCudaDouble({ devices, driver });
  // What is loaded counts for nothing: the double has the kernels' sources.
  const image = join(double.folder, "image");
  writeFileSync(image, "kernels");
  Object.assign(process.env, {
    TIDELINE_CUDA_KERNELS: image,
    TIDELINE_CUBLAS: library ?? "none",
  });
  return double;
}
