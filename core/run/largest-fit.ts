/**
 * How far the KV cache, or the micro-batch, could grow alone within the capacity: from the measured peaks of a run, not
 * from a prediction. A phase limits a consumer only while it holds it; that is what releasing memory in the other phases
 * is for.
 */
import { checkSchedule, type Moment } from "../schedule/check.ts";
import type { MemoryState } from "../schedule/residency.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { NEEDS, SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../schedule/works.ts";
import type { PlacedDevice } from "./placement.ts";
import { type PhaseRecord, peakOn } from "./records.ts";
import type { LargestFit } from "./state.ts";

/** How the memory of what a person can size depends on its size. */
export interface Sizing {
  /** Regions take memory in whole chunks. */
  readonly chunkBytes: number;
  readonly kvCache: { readonly bytes: number; readonly bytesPerToken: number; readonly blockTokens?: number };
  readonly microBatch: number;
  /** What activations and logits take, in whole chunks, for so large a micro-batch; Infinity for one that is refused. */
  readonly scratchBytes: (microBatch: number) => number;
}

export interface LargestFitOptions extends Sizing {
  readonly schedule: Schedule;
  readonly capacityBytes: number;
  /** Of completed steps. */
  readonly phases: readonly Pick<PhaseRecord, "step" | "work" | "peakBytes">[];
}

/** A device of a run, and how the memory there depends on sizes. */
export interface SizedDevice extends PlacedDevice {
  readonly sizing: Sizing;
}

/** With the capacities of other devices of the same names: a baseline has more than what sizes are to fit in. */
export function fittedTo(devices: readonly PlacedDevice[], sized: readonly SizedDevice[]): readonly SizedDevice[] {
  return sized.map((device) => {
    const { capacityBytes = device.capacityBytes } = devices.find(({ name }) => name === device.name) ?? {};
    return { ...device, capacityBytes };
  });
}

const BLOCK_TOKENS = 16;

/** Of a run on one device or several: the cache has to fit where the engine is, the micro-batch wherever trainers are. */
export function largestFitOf(
  schedule: Schedule,
  devices: readonly SizedDevice[],
  phases: readonly PhaseRecord[],
): LargestFit | undefined {
  const fits = devices.map(({ name, capacityBytes, holds, sizing }) => {
    const own = phases.map((phase) => ({ ...phase, ...peakOn(phase, name) }));
    return { holds, fit: largestFit({ ...sizing, schedule, capacityBytes, phases: own }) };
  });
  const engine = fits.find(({ holds }) => holds.includes("engine"))?.fit;
  const trainers = fits.filter(({ holds }) => holds.some((placed) => placed !== "engine"));
  if (engine === undefined || trainers.some(({ fit }) => fit === undefined)) return undefined;
  return { ...engine, microBatch: Math.min(...trainers.map(({ fit }) => fit?.microBatch ?? 0)) };
}

/** Undefined until a second step is complete: the first takes much of its memory only at its first use. */
export function largestFit(options: LargestFitOptions): LargestFit | undefined {
  const { kvCache, chunkBytes, microBatch, scratchBytes } = options;
  const phases = measuredPhases(options);
  if (phases === undefined) return undefined;

  const blockTokens = kvCache.blockTokens ?? BLOCK_TOKENS;
  const blockBytes = blockTokens * kvCache.bytesPerToken;
  const wholeBlocks = (bytes: number) => Math.floor(bytes / blockBytes);
  const kvCacheNow = Math.ceil((wholeBlocks(kvCache.bytes) * blockBytes) / chunkBytes) * chunkBytes;
  const kvCacheRoom = roomFor(["engine.kv_cache"], kvCacheNow, phases, options);
  const blocks = wholeBlocks(Math.floor(kvCacheRoom / chunkBytes) * chunkBytes);

  const scratchRoom = roomFor(["activations", "logits"], scratchBytes(microBatch), phases, options);
  return {
    kvCacheBytes: blocks * blockBytes,
    kvCacheTokens: blocks * blockTokens,
    microBatch: largestWhere((sequences) => scratchBytes(sequences) <= scratchRoom),
  };
}

interface MeasuredPhase {
  readonly peakBytes: number;
  readonly holds: ReadonlySet<ScheduledConsumer>;
}

/** Bytes that consumers could take together where they take `bytes` now; 0 when the run does not fit without them. */
function roomFor(
  consumers: readonly ScheduledConsumer[],
  bytes: number,
  phases: readonly MeasuredPhase[],
  { schedule, capacityBytes }: LargestFitOptions,
): number {
  const isUsed = schedule.phases.some(({ work }) => consumers.some((name) => NEEDS[work].scratch.includes(name)));
  // More of what nothing uses would be of no use.
  if (!isUsed) return bytes;
  const holding = phases.filter(({ holds }) => consumers.some((name) => holds.has(name)));
  if (phases.some((phase) => !holding.includes(phase) && phase.peakBytes > capacityBytes)) return 0;
  return Math.max(0, bytes + capacityBytes - Math.max(...holding.map(({ peakBytes }) => peakBytes)));
}

/** The phases of a step with their highest peaks; undefined when one was not measured after the first step. */
function measuredPhases({ schedule, phases }: LargestFitOptions): readonly MeasuredPhase[] | undefined {
  const check = checkSchedule(schedule);
  if (!check.ok) return undefined;
  const measured = schedule.phases.flatMap(({ work }, phase) => {
    const peaks = phases.filter((record) => record.step > 0 && record.work === work).map(({ peakBytes }) => peakBytes);
    return peaks.length === 0
      ? []
      : { peakBytes: Math.max(...peaks), holds: heldIn(phase, check.start, check.moments) };
  });
  return measured.length === schedule.phases.length ? measured : undefined;
}

/** What is resident when a phase begins, or after one of its items. */
function heldIn(phase: number, start: MemoryState, moments: readonly Moment[]): ReadonlySet<ScheduledConsumer> {
  const before = moments.findLast(({ item }) => item.phase < phase)?.state ?? start;
  const states = [before, ...moments.filter(({ item }) => item.phase === phase).map(({ state }) => state)];
  return new Set(
    SCHEDULED_CONSUMERS.filter((consumer) => states.some((state) => state[consumer].residency === "resident")),
  );
}

/** The largest whole number that `fits`, 0 when not even 1 does. What fits, fits with less. */
function largestWhere(fits: (candidate: number) => boolean): number {
  if (!fits(1)) return 0;
  let fitting = 1;
  while (Number.isSafeInteger(2 * fitting) && fits(2 * fitting)) fitting *= 2;
  for (let step = fitting / 2; step >= 1; step /= 2) {
    if (fits(fitting + step)) fitting += step;
  }
  return fitting;
}
