/** `tideline memory-cycle`: releases and resumes a region again and again, and asks the system what that did. */
import { readFileSync, rmSync } from "node:fs";
import { type Command, Option } from "commander";
import { formatBytes } from "../../core/units.ts";
import type { ReleaseDestination, ReleaseMode } from "../../native/addon.d.ts";
import { loadAddon } from "../session/addon.ts";
import { makeBackupsFolder, ownBackupsFolder } from "../session/backups.ts";
import { backupsPath, surroundings } from "../session/paths.ts";
import { INTERRUPTED, interruption, sizeOption, UsageError, wholeOption } from "./options.ts";

interface MemoryCycleOptions {
  readonly bytes: number;
  readonly chunk: number;
  readonly cycles: number;
  readonly mode: Exclude<ReleaseMode, "clean">;
  readonly destination: ReleaseDestination;
  readonly device: string;
  readonly json?: true;
}

export function addMemoryCycle(program: Command): void {
  program
    .command("memory-cycle")
    .description("release and resume a region N times; prints what it costs and what the process keeps")
    .requiredOption("--bytes <size>", "size of the region: 64MiB, 1GiB", sizeOption)
    .requiredOption("--chunk <size>", "size of one physical chunk: 2MiB", sizeOption)
    .requiredOption("--cycles <n>", "how often", wholeOption(1, 10_000_000))
    .addOption(
      new Option("--mode <mode>", "what happens to the contents")
        .choices(["discard", "host", "disk"])
        .default("discard"),
    )
    .addOption(
      new Option("--destination <where>", "released chunks stay in the pool (hold) or leave the process (return)")
        .choices(["hold", "return"])
        .default("return"),
    )
    .option("--device <name>", "host or cuda:0", "host")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  tideline memory-cycle --bytes 1GiB --chunk 2MiB --cycles 100
  tideline memory-cycle --bytes 64MiB --chunk 1MiB --cycles 10000 --destination hold --json`,
    )
    .action(memoryCycle);
}

async function memoryCycle(options: MemoryCycleOptions): Promise<void> {
  const { bytes, chunk, cycles, mode, destination, device: name, json } = options;
  if (chunk > bytes) throw new UsageError("--chunk must not be larger than --bytes");
  const stopped = interruption();
  const directory = ownBackupsFolder(backupsPath(surroundings()));
  const capacityBytes = Math.ceil(bytes / chunk) * chunk;
  const device = loadAddon().openDevice({ name, capacityBytes, chunkBytes: chunk });
  const region = device.createRegion({ consumer: "workspace", tag: "memory-cycle", bytes });
  try {
    if (mode === "disk") makeBackupsFolder(directory);
    const releaseMs: number[] = [];
    const resumeMs: number[] = [];
    await region.resume();
    await region.fill(1);
    const before = residentBytes();
    while (releaseMs.length < cycles && !stopped.aborted) {
      const released = await region.release({ mode, destination, directory });
      const resumed = await region.resume();
      releaseMs.push(released.milliseconds);
      resumeMs.push(resumed.milliseconds);
      // Touched again, so that the next release has something to give back.
      if (mode === "discard") await region.fill(releaseMs.length);
    }
    const after = residentBytes();
    await region.release({ mode: "discard", destination: "return" });
    const result = {
      device: name,
      bytes,
      chunkBytes: chunk,
      cycles: releaseMs.length,
      mode,
      destination,
      releaseMilliseconds: median(releaseMs),
      resumeMilliseconds: median(resumeMs),
      residentBytes: { before, after, growth: after - before, released: residentBytes() },
    };
    if (stopped.aborted) process.exitCode = INTERRUPTED;
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : describe(result));
  } finally {
    await region.close();
    await device.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function describe(result: {
  readonly bytes: number;
  readonly cycles: number;
  readonly releaseMilliseconds: number;
  readonly resumeMilliseconds: number;
  readonly residentBytes: { readonly before: number; readonly after: number; readonly released: number };
}): string {
  const { before, after, released } = result.residentBytes;
  return [
    `${result.cycles} cycles of ${formatBytes(result.bytes)}`,
    `release  ${result.releaseMilliseconds.toFixed(3)} ms (median)`,
    `resume   ${result.resumeMilliseconds.toFixed(3)} ms (median)`,
    `process  ${formatBytes(before)} before, ${formatBytes(after)} after, ${formatBytes(released)} with it released`,
    "",
  ].join("\n");
}

/** The resident set of this process, as the kernel counts it. */
function residentBytes(): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
