/**
 * How fast memory comes and goes: what every release, resume, offload, load and swap is reckoned with. Calls were timed on
 * one H100; on another card they are taken to cost as much, and say so.
 */
import { MIB } from "../../units.ts";
import { type Gpu, HOST } from "../gpus/catalogue.ts";
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

export function ratesOf(gpu: Gpu): TransitionRates {
  return gpu.name === HOST ? hostRates(gpu) : cardRates(gpu);
}

/**
 * Servers and trainers release tensor by tensor (torch_memory_saver, vLLM's sleep): 256 tensors of 64 MiB took 22.8 to 26.1
 * ms to pause and 18.3 to 20.0 ms to resume.
 */
function cardRates(gpu: Gpu): TransitionRates {
  const isH100 = gpu.name === H100;
  const timed = (value: number, source: string): Figure =>
    isH100
      ? { value, provenance: "measured", source }
      : { value, provenance: "assumption", source: `as on an H100: ${source}` };
  const saver = "torch_memory_saver, 256 tensors of 64 MiB";
  const pause = { secondsPerPiece: timed(0.0245 / 256, saver), secondsPerByte: timed(0, saver) };
  return {
    pieceBytes: 64 * MIB,
    release: pause,
    hold: pause,
    resume: { secondsPerPiece: timed(0.0192 / 256, saver), secondsPerByte: timed(0, saver) },
    toHostBytesPerSecond: gpu.deviceToHostBytesPerSecond,
    fromHostBytesPerSecond: gpu.hostToDeviceBytesPerSecond,
    diskBytesPerSecond: { value: 3e9, provenance: "assumption", source: "one NVMe drive, reading and writing" },
    deviceCopyBytesPerSecond: deviceCopy(gpu, isH100),
    peerBytesPerSecond: gpu.peerBytesPerSecond,
    secondsPerBucket: {
      value: 0.02,
      provenance: "calibrated",
      source: "slime's weight update on 8 H100: 20 ms for each bucket once tensors are flattened",
    },
  };
}

/** 1.50 TB/s of bytes copied, on a card whose sheet says 3.35. */
const COPIED_SHARE = 1.5 / 3.35;

function deviceCopy({ memoryBytesPerSecond: { value } }: Gpu, isH100: boolean): Figure {
  const source = "8 GiB copied on an H100 at 1.50 TB/s";
  return isH100
    ? { value: value * COPIED_SHARE, provenance: "measured", source }
    : { value: value * COPIED_SHARE, provenance: "assumption", source: `the same part of its bandwidth as ${source}` };
}

/** Each action goes to a thread of the engine and back. */
const HOST_SECONDS_PER_CALL = 0.0004;

/** docs/benchmarks.md, 1 GiB discarded and taken again: neighbouring chunks move in one call, so the bytes are what counts. */
function hostRates(gpu: Gpu): TransitionRates {
  const timed = (value: number): Figure => ({
    value,
    provenance: "measured",
    source: "the memory bench, 1 GiB (docs/benchmarks.md), and steps of the demo",
  });
  const rate = (secondsPerGib: number): CallRate => ({
    secondsPerPiece: timed(HOST_SECONDS_PER_CALL),
    secondsPerByte: timed(secondsPerGib / 2 ** 30),
  });
  return {
    pieceBytes: Number.MAX_SAFE_INTEGER,
    release: rate(0.004),
    hold: rate(0.0004),
    resume: rate(0.065),
    toHostBytesPerSecond: gpu.deviceToHostBytesPerSecond,
    fromHostBytesPerSecond: gpu.hostToDeviceBytesPerSecond,
    diskBytesPerSecond: { value: 1e9, provenance: "assumption", source: "one drive, with checksums" },
    deviceCopyBytesPerSecond: gpu.peerBytesPerSecond,
    peerBytesPerSecond: gpu.peerBytesPerSecond,
    secondsPerBucket: timed(HOST_SECONDS_PER_CALL),
  };
}
