/**
 * Memory of a card, through the addon: what release, resume, backups and swaps of 16 GiB take, as receipts say it, against
 * what the driver's own copies reach in the same run (card-link.cc). Its peer is measured by card-memory.py. A pause lies
 * between a release and the resume after it, as a phase of a step does: a driver clears memory that it got back meanwhile.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { GIB, MIB } from "../../core/units.ts";
import type { NativeDevice, NativeRegion, ReleaseDestination, ReleaseMode } from "../../native/addon.d.ts";
import { addon, LLAMA_3_8B, loadZeros, ofDriver, problemOf, repeat, withDevice } from "./card.ts";
import { median, report } from "./report.ts";

const NAME = "cuda:0";
const BYTES = 16 * GIB;
const REPETITIONS = 7;
const COPIED_REPETITIONS = 5;
const PHASE_MS = 100;
const LINK_BYTES = 4 * GIB;
const SMALL_BYTES = 64 * MIB;
const CYCLES = 10_000;
const WARM_UP_CYCLES = 500;
const LINK_PROGRAM = process.env.CARD_LINK ?? "tests/output/bench/card-link";

interface Link {
  readonly toCard: number;
  readonly fromCard: number;
  readonly onCard: number;
}

const problem = problemOf(NAME);
if (problem !== undefined) {
  process.stdout.write(`card-memory is left out: ${problem}\n`);
} else {
  const link = measureLink();
  await withDevice(NAME, 2.5 * BYTES, async (device) => {
    await measureDiscard(device);
    await measureBackups(device, link);
    await measureFirstBackups(device, link);
    await measureCopy(device, link);
  });
  await withDevice(NAME, 2.5 * BYTES, (device) => measureSwaps(device, link));
  await withDevice(NAME, 2 * SMALL_BYTES, measureCycles);
  await withDevice(NAME, 1.5 * BYTES, measureNeighbour);
}

/** Medians of the driver's own copies of pinned memory, GB/s. */
function measureLink(): Link {
  const output = execFileSync(LINK_PROGRAM, { input: `${LINK_BYTES} 5\n`, encoding: "utf8" });
  const [toCard = 0, fromCard = 0, onCard = 0] = output.trim().split(" ").map(Number);
  for (const [name, value] of Object.entries({ toCard, fromCard, onCard })) {
    report({ name: `link_${name}`, unit: "GB/s", samples: [value] });
  }
  return { toCard, fromCard, onCard };
}

/** One that has contents, whatever they are. */
async function createFilled(device: NativeDevice, consumer: string, bytes = BYTES): Promise<NativeRegion> {
  const region = device.createRegion({ consumer, tag: "bench", bytes });
  await region.resume();
  await region.write(0, new Uint8Array(1));
  return region;
}

async function measureDiscard(device: NativeDevice): Promise<void> {
  const region = await createFilled(device, "workspace");
  for (const destination of ["hold", "return"] as const) {
    const rounds = await repeat(REPETITIONS, () => releaseAndResume(region, "discard", destination));
    reportRounds(`discard_${destination}`, rounds);
  }
  // Without a phase between the two: the driver may have to clear what it got back first.
  const rounds = await repeat(REPETITIONS, () => releaseAndResume(region, "discard", "return", 0));
  reportRounds("discard_return_at_once", rounds);
  await region.write(0, new Uint8Array(1));
  await measureFreed(region);
  await region.close();
}

/** What the reply says against what NVML sees. */
async function measureFreed(region: NativeRegion): Promise<void> {
  const before = usedBytesByNvml();
  const { bytesFreed } = await region.release({ mode: "discard" });
  const freed = before - usedBytesByNvml();
  report({
    name: "freed_by_nvml",
    unit: "GiB",
    samples: [freed / GIB],
    ratio: { to: "the reply's bytesFreed", value: freed / bytesFreed },
  });
}

async function measureBackups(device: NativeDevice, link: Link): Promise<void> {
  const region = await createFilled(device, "reference.weights");
  await region.release({ mode: "host" });
  await region.resume();
  for (const destination of ["hold", "return"] as const) {
    const clean = await repeat(COPIED_REPETITIONS, () => releaseAndResume(region, "host", destination));
    report({
      name: `backup_unchanged_${destination}_release`,
      unit: "ms",
      samples: clean.map(({ release }) => release),
    });
    const changed = await repeat(COPIED_REPETITIONS, async () => {
      await region.write(0, Uint8Array.of(1));
      return releaseAndResume(region, "host", destination);
    });
    reportRounds(`backup_changed_${destination}`, changed, link);
  }
  await region.close();
}

async function measureFirstBackups(device: NativeDevice, link: Link): Promise<void> {
  const first: number[] = [];
  const prepare: number[] = [];
  const prepared: number[] = [];
  const dropped: number[] = [];
  for (let repetition = 0; repetition < 3; repetition += 1) {
    const region = await createFilled(device, "policy.optimizer");
    first.push((await region.release({ mode: "host" })).milliseconds);
    dropped.push((await region.release({ mode: "discard" })).milliseconds);
    prepare.push((await device.prepareBackups("policy.optimizer")).milliseconds);
    await region.resume();
    await region.write(0, new Uint8Array(1));
    prepared.push((await region.release({ mode: "host" })).milliseconds);
    await region.close();
  }
  report({ name: "first_backup", unit: "ms", samples: first });
  report({ name: "first_backup_prepare", unit: "ms", samples: prepare });
  report({
    name: "first_backup_prepared",
    unit: "ms",
    samples: prepared,
    ratio: ofDriver(BYTES, median(prepared), link.fromCard),
  });
  report({ name: "backup_dropped", unit: "ms", samples: dropped });
}

async function measureCopy(device: NativeDevice, link: Link): Promise<void> {
  const source = await createFilled(device, "policy.weights");
  const target = await createFilled(device, "engine.weights");
  const rounds = await repeat(REPETITIONS, () => target.copyFrom(source));
  const samples = rounds.map(({ milliseconds }) => milliseconds);
  report({ name: "copy_on_card", unit: "ms", samples, ratio: ofDriver(BYTES, median(samples), link.onCard) });
  for (const region of [source, target]) await region.close();
}

async function measureSwaps(device: NativeDevice, link: Link): Promise<void> {
  const policy = addon.createModel(device, { config: LLAMA_3_8B, dtype: "bfloat16", consumer: "policy.weights" });
  const own = addon.createModel(device, { config: LLAMA_3_8B, dtype: "bfloat16", consumer: "engine.weights" });
  report({ name: "load_zeros", unit: "ms", samples: [(await loadZeros(policy)).milliseconds] });
  const { bytesCopied } = await own.copyFrom(policy);
  const engine = addon.createEngine(device, own, { kvCacheBytes: 64 * MIB });
  const source = { kind: "model", model: policy } as const;
  const copies: number[] = [];
  const shares: number[] = [];
  const sharesOfReleased: number[] = [];
  for (let repetition = 0; repetition < COPIED_REPETITIONS; repetition += 1) {
    shares.push((await engine.swap({ source, method: "share", running: "refuse" })).milliseconds);
    await sleep(PHASE_MS);
    // Takes memory of its own again; the second one only copies.
    await engine.swap({ source, method: "copy", running: "refuse" });
    copies.push((await engine.swap({ source, method: "copy", running: "refuse" })).milliseconds);
    await engine.release("weights", { mode: "discard" });
    sharesOfReleased.push((await engine.swap({ source, method: "share", running: "refuse" })).milliseconds);
    await engine.swap({ source, method: "copy", running: "refuse" });
  }
  report({ name: "swap_copy", unit: "ms", samples: copies, ratio: ofDriver(bytesCopied, median(copies), link.onCard) });
  report({ name: "swap_share_with_release", unit: "ms", samples: shares });
  report({ name: "swap_share", unit: "ms", samples: sharesOfReleased });
  await engine.close();
  await policy.close();
}

/** Ten thousand cycles leave card and process as five hundred did. */
async function measureCycles(device: NativeDevice): Promise<void> {
  const region = await createFilled(device, "engine.kv_cache", SMALL_BYTES);
  let before = { used: 0, resident: 0 };
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    if (cycle === WARM_UP_CYCLES) before = await look(device);
    await region.release({ mode: "discard", destination: cycle % 2 === 0 ? "return" : "hold" });
    await region.resume();
  }
  const after = await look(device);
  const settings = { cycles: CYCLES, warmUpCycles: WARM_UP_CYCLES };
  report({ name: "cycles_growth_of_card", unit: "MiB", samples: [(after.used - before.used) / MIB], settings });
  report({
    name: "cycles_growth_of_process",
    unit: "MiB",
    samples: [(after.resident - before.resident) / MIB],
    settings,
  });
  await region.close();
}

async function look(device: NativeDevice): Promise<{ readonly used: number; readonly resident: number }> {
  globalThis.gc?.();
  await sleep(PHASE_MS);
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return { used: device.observe().usedBytes, resident: Number(kibibytes) * 1024 };
}

/** Another process takes the memory between release and resume; the error names it, and once it is gone the retry works. */
async function measureNeighbour(device: NativeDevice): Promise<void> {
  const region = await createFilled(device, "engine.weights");
  await region.release({ mode: "discard" });
  const bytes = Math.floor((device.observe().totalBytes - device.observe().usedBytes - BYTES / 2) / GIB) * GIB;
  const script = `
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, memory = ctypes.c_void_p(), ctypes.c_uint64()
assert cuda.cuInit(0) == 0 and cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert cuda.cuCtxPushCurrent_v2(context) == 0
assert cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(${bytes})) == 0
print("taken", flush=True)
sys.stdin.read()`;
  const neighbour = spawn("python3", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  await once(neighbour.stdout, "data");
  const refusal: unknown = await region.resume().then(
    () => undefined,
    (error: unknown) => error,
  );
  neighbour.stdin.end();
  await once(neighbour, "exit");
  const { milliseconds } = await region.resume();
  const words = refusal instanceof Error ? { ...refusal, message: refusal.message } : { message: "it was not refused" };
  process.stdout.write(`${JSON.stringify({ name: "neighbour", pid: neighbour.pid, bytes, ...words })}\n`);
  report({ name: "resume_once_it_is_gone", unit: "ms", samples: [milliseconds] });
  await region.close();
}

interface Round {
  readonly release: number;
  readonly resume: number;
}

async function releaseAndResume(
  region: NativeRegion,
  mode: ReleaseMode,
  destination: ReleaseDestination,
  phaseMs = PHASE_MS,
): Promise<Round> {
  const released = await region.release({ mode, destination });
  if (phaseMs > 0) await sleep(phaseMs);
  const resumed = await region.resume();
  // Discarded contents are undefined; a byte defines them.
  if (mode === "discard") await region.write(0, new Uint8Array(1));
  return { release: released.milliseconds, resume: resumed.milliseconds };
}

function reportRounds(name: string, rounds: readonly Round[], link?: Link): void {
  const release = rounds.map((round) => round.release);
  const resume = rounds.map((round) => round.resume);
  report({
    name: `${name}_release`,
    unit: "ms",
    samples: release,
    ...(link && { ratio: ofDriver(BYTES, median(release), link.fromCard) }),
  });
  report({
    name: `${name}_resume`,
    unit: "ms",
    samples: resume,
    ...(link && { ratio: ofDriver(BYTES, median(resume), link.toCard) }),
  });
}

function usedBytesByNvml(): number {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"];
  return Number(execFileSync("nvidia-smi", query, { encoding: "utf8" }).trim()) * MIB;
}
