/**
 * How fast memory comes and goes: what every release, resume, offload, load and swap is reckoned with. Calls were timed on
 * one H100; on another card they are taken to cost as much, and say so.
 */
import { GIB, MIB } from "../../units.ts";
import { type Gpu, HOST } from "../gpus/catalogue.ts";
import type { Backend } from "../gpus/planned-gpu.ts";
import type { Figure } from "../provenance.ts";

/** One call for each piece of memory, and what the bytes in it cost besides. */
export interface CallRate {
  readonly secondsPerPiece: Figure;
  readonly secondsPerByte: Figure;
}

export interface TransitionRates {
  /** Memory is taken and given up in pieces of this size. */
  readonly pieceBytes: number;
  /** To the device, where other processes can have it; and to the pool of this process. */
  readonly release: CallRate;
  readonly hold: CallRate;
  readonly resume: CallRate;
  readonly toHostBytesPerSecond: Figure;
  readonly fromHostBytesPerSecond: Figure;
  readonly diskBytesPerSecond: Figure;
  /** Bytes that one copy on the device moves. */
  readonly deviceCopyBytesPerSecond: Figure;
  readonly peerBytesPerSecond: Figure;
  /** What a bucket costs beside its two copies. */
  readonly secondsPerBucket: Figure;
}

const H100 = "H100 SXM";
/** Each action of the embedded engine goes to a thread of its own and back. */
const ENGINE_SECONDS_PER_CALL = 0.0004;

export function ratesOf(gpu: Gpu, backend: Backend): TransitionRates {
  if (gpu.name === HOST) return hostRates(gpu);
  return backend === "embedded" ? engineRates(gpu) : launcherRates(gpu);
}

/**
 * Servers and trainers release tensor by tensor (torch_memory_saver, vLLM's sleep): 256 tensors of 64 MiB took 22.8 to 26.1
 * ms to pause and 18.3 to 20.0 ms to resume.
 */
function launcherRates(gpu: Gpu): TransitionRates {
  const saver = "torch_memory_saver, 256 tensors of 64 MiB";
  const pause = { secondsPerPiece: timedOn(gpu, 0.0245 / 256, saver), secondsPerByte: timedOn(gpu, 0, saver) };
  return {
    pieceBytes: 64 * MIB,
    release: pause,
    hold: pause,
    resume: { secondsPerPiece: timedOn(gpu, 0.0192 / 256, saver), secondsPerByte: timedOn(gpu, 0, saver) },
    ...copiesOn(gpu),
    secondsPerBucket: {
      value: 0.02,
      provenance: "calibrated",
      source: "slime's weight update on 8 H100: 20 ms for each bucket once tensors are flattened",
    },
  };
}

/**
 * A region of the embedded engine comes and goes in chunks of gigabytes. Where all that is free was just given back, the
 * driver clears it before it gives it out again, which is not reckoned with: 1.2 ms for a GiB.
 */
function engineRates(gpu: Gpu): TransitionRates {
  const timed = (value: number) => timedOn(gpu, value, "PPO of four 7B (docs/real-sizes.md)");
  return { ...engineCalls(timed, { release: 0.0009, hold: 0.00002, resume: 0.00015 }), ...copiesOn(gpu) };
}

/** Neighbouring chunks move in one call: beside that, bytes are what counts. */
function engineCalls(
  timed: (value: number) => Figure,
  secondsPerGib: Readonly<Record<"release" | "hold" | "resume", number>>,
) {
  const secondsPerPiece = timed(ENGINE_SECONDS_PER_CALL);
  const rate = (seconds: number): CallRate => ({ secondsPerPiece, secondsPerByte: timed(seconds / GIB) });
  return {
    pieceBytes: Number.MAX_SAFE_INTEGER,
    release: rate(secondsPerGib.release),
    hold: rate(secondsPerGib.hold),
    resume: rate(secondsPerGib.resume),
    secondsPerBucket: secondsPerPiece,
  } satisfies Partial<TransitionRates>;
}

function timedOn(gpu: Gpu, value: number, source: string): Figure {
  return isH100(gpu)
    ? { value, provenance: "measured", source }
    : { value, provenance: "assumption", source: `as on an H100: ${source}` };
}

const isH100 = ({ name }: Gpu) => name === H100;

/** Whoever copies, the links and the card's memory are the same. */
function copiesOn(gpu: Gpu) {
  return {
    toHostBytesPerSecond: gpu.deviceToHostBytesPerSecond,
    fromHostBytesPerSecond: gpu.hostToDeviceBytesPerSecond,
    diskBytesPerSecond: { value: 3e9, provenance: "assumption", source: "one NVMe drive, reading and writing" },
    deviceCopyBytesPerSecond: deviceCopy(gpu),
    peerBytesPerSecond: gpu.peerBytesPerSecond,
  } satisfies Partial<TransitionRates>;
}

/** 1.50 TB/s of bytes copied, on a card whose sheet says 3.35. */
const COPIED_SHARE = 1.5 / 3.35;

function deviceCopy(gpu: Gpu): Figure {
  const { value } = gpu.memoryBytesPerSecond;
  const source = "8 GiB copied on an H100 at 1.50 TB/s";
  return isH100(gpu)
    ? { value: value * COPIED_SHARE, provenance: "measured", source }
    : { value: value * COPIED_SHARE, provenance: "assumption", source: `the same part of its bandwidth as ${source}` };
}

/** docs/benchmarks.md, 1 GiB discarded and taken again. */
function hostRates(gpu: Gpu): TransitionRates {
  const timed = (value: number): Figure => ({
    value,
    provenance: "measured",
    source: "the memory bench, 1 GiB (docs/benchmarks.md), and steps of the demo",
  });
  return {
    ...engineCalls(timed, { release: 0.004, hold: 0.0004, resume: 0.065 }),
    toHostBytesPerSecond: gpu.deviceToHostBytesPerSecond,
    fromHostBytesPerSecond: gpu.hostToDeviceBytesPerSecond,
    diskBytesPerSecond: { value: 1e9, provenance: "assumption", source: "one drive, with checksums" },
    deviceCopyBytesPerSecond: gpu.peerBytesPerSecond,
    peerBytesPerSecond: gpu.peerBytesPerSecond,
  };
}
