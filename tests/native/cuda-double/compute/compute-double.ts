/** Builds the double of the driver that can compute: the CUDA kernels' sources and the emulation of a block, as one library. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

export const NATIVE = resolve(import.meta.dirname, "../../../../native");
export const KERNELS = join(NATIVE, "compute/cuda/kernels");
const DOUBLE = dirname(import.meta.dirname);

/** A kernel source to take instead of the real one. */
export interface Changed {
  readonly file: string;
  readonly source: string;
  /** The only kernel files to build. */
  readonly only: readonly string[];
}

const run = promisify(execFile);

/** Two files at a time, with the compiler of CXX or the system's. */
export async function buildComputeDouble(output: string, flags: readonly string[], changed?: Changed): Promise<void> {
  const objects = mkdtempSync(`${output}-`);
  const instead = join(objects, "compute/cuda/kernels");
  mkdirSync(instead, { recursive: true });
  if (changed) writeFileSync(join(instead, changed.file), changed.source);
  const kernels = readdirSync(KERNELS).filter(
    (file) => file.endsWith(".cu") && (changed === undefined || changed.only.includes(file)),
  );
  const waiting = [
    ...kernels.map((file) => join(file === changed?.file ? instead : KERNELS, file)),
    ...sourcesIn(DOUBLE),
    ...sourcesIn(import.meta.dirname),
  ];
  const common = [
    ...["-std=c++20", "-fPIC", "-fvisibility=hidden", "-pthread", "-fno-strict-aliasing", "-Wno-unknown-pragmas"],
    // What was changed comes first.
    ...[`-I${objects}`, `-I${NATIVE}`, `-I${import.meta.dirname}`, `-I${DOUBLE}`],
    ...flags,
  ];
  const compiler = process.env.CXX ?? "c++";
  const made: string[] = [];
  const work = async (): Promise<void> => {
    for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
      const object = join(objects, `${basename(dirname(source))}-${basename(source)}.o`);
      await run(compiler, [...common, "-x", "c++", "-c", source, "-o", object]);
      made.push(object);
    }
  };
  await Promise.all([work(), work()]);
  await run(compiler, [...flags, "-shared", ...made, "-ldl", "-lpthread", "-o", output]);
  rmSync(objects, { recursive: true });
}

function sourcesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cc"))
    .map((file) => join(folder, file));
}
