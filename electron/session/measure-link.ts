/**
 * How fast bytes move between device and host, and on the device: what a plan's seconds come from. Measured by releasing
 * and resuming a scratch region, as offloads do it, in memory that nobody has taken.
 */
import { TidelineError } from "../../core/errors.ts";
import type { LinkMeasurement } from "../../core/link-measurement.ts";
import { formatBytes, MIB } from "../../core/units.ts";
import type { LongOperation, NativeDevice, NativeRegion, Receipt } from "../../native/addon.d.ts";
import type { Work } from "./backend.ts";

/** Long against what a call costs, and quick on the slowest link. */
const MOST_BYTES = 256 * MIB;
/** A device with so much room is measured as well as any. */
export const LINK_ROOM_BYTES = 2 * MOST_BYTES;
const REPETITIONS = 3;
/** To the host and back, first to prepare the buffers; then from one region to the other. */
const COPIES = 2 * (1 + REPETITIONS) + 1 + REPETITIONS;

const SCRATCH = { consumer: "workspace", tag: "link" } as const;

/** @throws TidelineError `out_of_memory` without room for two regions of a chunk, `cancelled`. */
export async function measureLink(
  device: NativeDevice,
  operation: LongOperation,
  progress: Work["progress"],
): Promise<LinkMeasurement> {
  const bytes = scratchBytes(device);
  const regions = [0, 1].map(() => device.createRegion({ ...SCRATCH, bytes }));
  try {
    const [first, second] = regions;
    if (first === undefined || second === undefined)
      throw new TidelineError({ code: "internal", message: "no regions" });
    const steps: Steps = { region: first, cancellation: pick(operation), copied: counter(bytes, progress) };
    const mapping = await timeMapping(steps);
    const link = await timeLink(steps);
    await second.resume(pick(operation));
    const onDevice = await timeDeviceCopy(second, steps);
    return {
      hostToDeviceBytesPerSecond: rate(bytes, link.resume - mapping.resume),
      deviceToHostBytesPerSecond: rate(bytes, link.release - mapping.release),
      memoryBytesPerSecond: rate(2 * bytes, onDevice),
      bytes,
      repetitions: REPETITIONS,
    };
  } finally {
    for (const region of regions) await region.close();
  }
}

interface Steps {
  readonly region: NativeRegion;
  readonly cancellation: LongOperation;
  /** Says that one more copy is done. */
  readonly copied: () => void;
}

/** Milliseconds of each, at their fastest. */
interface Fastest {
  readonly release: number;
  readonly resume: number;
}

/** Half of what is free for each of two regions, in whole chunks. */
function scratchBytes(device: NativeDevice): number {
  const { freeBytes, heldBytes, chunkBytes } = device.observe();
  const roomBytes = freeBytes + heldBytes;
  const bytes = Math.floor(Math.min(MOST_BYTES, roomBytes / 2) / chunkBytes) * chunkBytes;
  if (bytes > 0) return bytes;
  throw new TidelineError({
    code: "out_of_memory",
    message: `measuring the link takes ${formatBytes(2 * chunkBytes)}, and ${formatBytes(roomBytes)} are free`,
    hint: "Release something, or raise the capacity.",
    requestedBytes: 2 * chunkBytes,
    freeBytes: roomBytes,
  });
}

/** Unmapping and mapping, without a copy: the pool keeps the chunks meanwhile. */
async function timeMapping({ region, cancellation }: Steps): Promise<Fastest> {
  await region.resume(cancellation);
  return fastest(async () => ({
    release: await region.release({ mode: "discard", destination: "hold", ...cancellation }),
    resume: await region.resume(cancellation),
  }));
}

async function timeLink({ region, cancellation, copied }: Steps): Promise<Fastest> {
  await region.fill(1);
  const roundTrip = async () => {
    const release = await region.release({ mode: "host", destination: "hold", ...cancellation });
    copied();
    const resume = await region.resume(cancellation);
    copied();
    // One changed byte, and the backup has to be written again.
    await region.write(0, new Uint8Array(1));
    return { release, resume };
  };
  await roundTrip();
  return fastest(roundTrip);
}

/** Milliseconds of a copy, at its fastest. */
async function timeDeviceCopy(target: NativeRegion, { region, copied }: Steps): Promise<number> {
  const times: number[] = [];
  for (let repetition = 0; repetition <= REPETITIONS; repetition += 1) {
    const { milliseconds } = await target.copyFrom(region);
    copied();
    if (repetition > 0) times.push(milliseconds);
  }
  return Math.min(...times);
}

async function fastest(once: () => Promise<{ readonly release: Receipt; readonly resume: Receipt }>): Promise<Fastest> {
  const rounds = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) rounds.push(await once());
  return {
    release: Math.min(...rounds.map(({ release }) => release.milliseconds)),
    resume: Math.min(...rounds.map(({ resume }) => resume.milliseconds)),
  };
}

/** @throws TidelineError `busy` where other work took the processor for longer than the copy lasts. */
function rate(bytes: number, milliseconds: number): number {
  if (milliseconds > 0) return (1000 * bytes) / milliseconds;
  throw new TidelineError({
    code: "busy",
    message: "the machine is too busy to time a copy",
    hint: "Measure again when less runs, or with more memory free.",
  });
}

/** Progress is of the whole, not of each copy. */
function pick({ cancellation }: LongOperation): LongOperation {
  return cancellation === undefined ? {} : { cancellation };
}

function counter(bytes: number, progress: Work["progress"]): () => void {
  let done = 0;
  progress(0, COPIES * bytes);
  return () => {
    done += bytes;
    progress(done, COPIES * bytes);
  };
}
