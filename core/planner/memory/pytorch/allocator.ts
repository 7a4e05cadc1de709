/**
 * PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp), played over a tape: what it asks the driver for, which is
 * what `memory_reserved` counts and other processes cannot have. Blocks come from segments; the smallest free block that is
 * large enough is taken and cut; what is freed joins its free neighbours and stays.
 */
import { MIB } from "../../../units.ts";
import type { Tape } from "./tape.ts";

/** Requests up to this come out of segments of `SMALL_SEGMENT`. */
const SMALL = MIB;
const SMALL_SEGMENT = 2 * MIB;
/** Requests below this come out of segments of `MIDDLE_SEGMENT`; larger ones get a segment of their own. */
const LARGE = 10 * MIB;
const MIDDLE_SEGMENT = 20 * MIB;
const SEGMENT_STEP = 2 * MIB;
/** Requests are rounded up to this; rests of small ones are cut off from this on, those of large ones only beyond `SMALL`. */
const SMALLEST_REST = 512;

interface Chunk {
  bytes: number;
  /** Order of the driver's addresses: later segments lie lower, as mmap lays them out. Decides between equal blocks. */
  readonly address: number;
  free: boolean;
  readonly small: boolean;
  before: Chunk | undefined;
  after: Chunk | undefined;
}

/** What the counters say at a mark. */
export interface AllocatorStage {
  readonly name: string;
  readonly peakAllocatedBytes: number;
  readonly allocatedBytes: number;
  readonly peakReservedBytes: number;
  readonly reservedBytes: number;
}

/** Counters at every mark of the tape; peaks are since the mark before. The tape must not be folded. */
export function playAllocator(tape: Tape): readonly AllocatorStage[] {
  const allocator = new CachingAllocator();
  const chunks: (Chunk | undefined)[] = [];
  const stages: AllocatorStage[] = [];
  let at = 0;
  for (const { name, end } of tape.markedEvents()) {
    allocator.resetPeaks();
    for (; at < end; at++) {
      const event = tape.events[at] ?? 0;
      if (event >= 0) {
        const bytes = tape.blocks[event]?.requestedBytes ?? 0;
        if (bytes > 0) chunks[event] = allocator.allocate(bytes);
      } else {
        const chunk = chunks[~event];
        if (chunk !== undefined) allocator.release(chunk);
      }
    }
    stages.push({ name, ...allocator.counters });
  }
  return stages;
}

class CachingAllocator {
  /** Free chunks, by size and then by address. */
  private readonly small: Chunk[] = [];
  private readonly large: Chunk[] = [];
  private allocatedBytes = 0;
  private reservedBytes = 0;
  private peakAllocatedBytes = 0;
  private lowestAddress = 0;

  get counters() {
    const { allocatedBytes, reservedBytes, peakAllocatedBytes } = this;
    // Nothing is given back to the driver along the way, so the most reserved is what is reserved.
    return { allocatedBytes, reservedBytes, peakAllocatedBytes, peakReservedBytes: reservedBytes };
  }

  resetPeaks(): void {
    this.peakAllocatedBytes = this.allocatedBytes;
  }

  allocate(requestedBytes: number): Chunk {
    const bytes = Math.max(1, Math.ceil(requestedBytes / SMALLEST_REST)) * SMALLEST_REST;
    const small = bytes <= SMALL;
    const pool = small ? this.small : this.large;
    const place = position(pool, bytes, Number.NEGATIVE_INFINITY);
    const chunk = pool[place] ?? this.segment(bytes, small);
    if (place < pool.length) pool.splice(place, 1);
    const rest = chunk.bytes - bytes;
    if (small ? rest >= SMALLEST_REST : rest > SMALL) this.cut(chunk, bytes, pool);
    chunk.free = false;
    this.allocatedBytes += chunk.bytes;
    this.peakAllocatedBytes = Math.max(this.peakAllocatedBytes, this.allocatedBytes);
    return chunk;
  }

  release(chunk: Chunk): void {
    this.allocatedBytes -= chunk.bytes;
    const pool = chunk.small ? this.small : this.large;
    let joined = chunk;
    const { before, after } = chunk;
    if (after?.free) {
      remove(pool, after);
      joined.bytes += after.bytes;
      joined.after = after.after;
      if (after.after !== undefined) after.after.before = joined;
    }
    if (before?.free) {
      remove(pool, before);
      before.bytes += joined.bytes;
      before.after = joined.after;
      if (joined.after !== undefined) joined.after.before = before;
      joined = before;
    }
    joined.free = true;
    pool.splice(position(pool, joined.bytes, joined.address), 0, joined);
  }

  /** Asks the driver. */
  private segment(bytes: number, small: boolean): Chunk {
    const size = small
      ? SMALL_SEGMENT
      : bytes < LARGE
        ? MIDDLE_SEGMENT
        : Math.ceil(bytes / SEGMENT_STEP) * SEGMENT_STEP;
    this.reservedBytes += size;
    this.lowestAddress -= size;
    return { bytes: size, address: this.lowestAddress, free: true, small, before: undefined, after: undefined };
  }

  /** Leaves the first `bytes` in `chunk` and puts the rest into the pool. */
  private cut(chunk: Chunk, bytes: number, pool: Chunk[]): void {
    const rest: Chunk = {
      bytes: chunk.bytes - bytes,
      address: chunk.address + bytes,
      free: true,
      small: chunk.small,
      before: chunk,
      after: chunk.after,
    };
    if (chunk.after !== undefined) chunk.after.before = rest;
    chunk.after = rest;
    chunk.bytes = bytes;
    pool.splice(position(pool, rest.bytes, rest.address), 0, rest);
  }
}

/** The first place whose chunk is not before (bytes, address). */
function position(pool: readonly Chunk[], bytes: number, address: number): number {
  let low = 0;
  let high = pool.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const chunk = pool[middle];
    if (chunk !== undefined && (chunk.bytes < bytes || (chunk.bytes === bytes && chunk.address < address)))
      low = middle + 1;
    else high = middle;
  }
  return low;
}

function remove(pool: Chunk[], chunk: Chunk): void {
  pool.splice(position(pool, chunk.bytes, chunk.address), 1);
}
