/**
 * Peaks of a run that is played on the model of the memory, with sizes that are known: what fits by them has to fit when
 * the same schedule is played with the larger size.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type LargestFitOptions, largestFit } from "../../../core/run/largest-fit.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { checkSchedule, momentBytes, residentBytes, type Sizes } from "../../../core/schedule/check.ts";
import type { Schedule } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { anyStrategies, ROLES, sizesOf, strategies } from "../schedule/support.ts";

const CHUNK_BYTES = 100;
/** A block of 16 tokens takes 160 bytes: more than a chunk, and no multiple of one. */
const BYTES_PER_TOKEN = 10;
const BLOCK_BYTES = 160;
const KV_BYTES = 1_600;
const MICRO_BATCH = 4;

const inChunks = (bytes: number) => Math.ceil(bytes / CHUNK_BYTES) * CHUNK_BYTES;
const activationsBytes = (microBatch: number) => inChunks(microBatch * 230);
const LOGITS_BYTES = 300;

interface Changes {
  readonly kvBytes?: number;
  readonly microBatch?: number;
}

function sizes({ kvBytes = KV_BYTES, microBatch = MICRO_BATCH }: Changes = {}): Sizes {
  const blocks = Math.floor(kvBytes / BLOCK_BYTES);
  return sizesOf(ROLES, 1_000, [inChunks(blocks * BLOCK_BYTES), activationsBytes(microBatch), LOGITS_BYTES, 200]);
}

/** What each phase of a step takes at most. */
function peaks(schedule: Schedule, changes: Changes = {}) {
  const check = checkSchedule(schedule);
  if (!check.ok) throw new Error(check.problem.message);
  const { start, moments } = check;
  return schedule.phases.map(({ work }, phase) => {
    const own = moments.filter(({ item }) => item.phase === phase);
    const entered = moments.findLast(({ item }) => item.phase < phase)?.state ?? start;
    const bytes = own.map((moment) => momentBytes(moment, sizes(changes)));
    return { step: 1, work, peakBytes: Math.max(residentBytes(entered, sizes(changes)), ...bytes) };
  });
}

const peakOf = (schedule: Schedule, changes?: Changes) =>
  Math.max(...peaks(schedule, changes).map(({ peakBytes }) => peakBytes));

function fitOf(schedule: Schedule, capacityBytes: number, changes: Partial<LargestFitOptions> = {}) {
  return largestFit({
    schedule,
    capacityBytes,
    chunkBytes: CHUNK_BYTES,
    phases: peaks(schedule),
    kvCache: { bytes: KV_BYTES, bytesPerToken: BYTES_PER_TOKEN },
    microBatch: MICRO_BATCH,
    scratchBytes: (microBatch) => activationsBytes(microBatch) + LOGITS_BYTES,
    ...changes,
  });
}

/** The answer, which has to be there. */
function answer(...given: Parameters<typeof fitOf>) {
  const fit = fitOf(...given);
  if (fit === undefined) throw new Error("there is no answer");
  return fit;
}

const BASELINE = buildSchedule(NO_STRATEGIES, ROLES);
const RELEASING = buildSchedule(strategies({ releaseKvCache: true, trainingMemoryOnlyWhileTraining: true }), ROLES);

describe("with everything resident all the time", () => {
  const capacityBytes = peakOf(BASELINE) + 5_050;

  it("lets the KV cache grow by what is free at the highest peak, and not by one block more", () => {
    const { kvCacheBytes, kvCacheTokens } = answer(BASELINE, capacityBytes);
    expect(peakOf(BASELINE, { kvBytes: kvCacheBytes })).toBeLessThanOrEqual(capacityBytes);
    expect(peakOf(BASELINE, { kvBytes: kvCacheBytes + BLOCK_BYTES })).toBeGreaterThan(capacityBytes);
    expect(kvCacheTokens * BYTES_PER_TOKEN).toBe(kvCacheBytes);
    expect(kvCacheBytes).toBeGreaterThan(KV_BYTES);
  });

  it("lets the micro-batch grow by as much, and not by one sequence more", () => {
    const { microBatch } = answer(BASELINE, capacityBytes);
    expect(peakOf(BASELINE, { microBatch })).toBeLessThanOrEqual(capacityBytes);
    expect(peakOf(BASELINE, { microBatch: microBatch + 1 })).toBeGreaterThan(capacityBytes);
    expect(microBatch).toBeGreaterThan(MICRO_BATCH);
  });

  it("says how much smaller both had to be in less than the run took", () => {
    const less = peakOf(BASELINE) - 750;
    const { kvCacheBytes, microBatch } = answer(BASELINE, less);
    expect(peakOf(BASELINE, { kvBytes: kvCacheBytes })).toBeLessThanOrEqual(less);
    expect(peakOf(BASELINE, { kvBytes: kvCacheBytes + BLOCK_BYTES })).toBeGreaterThan(less);
    expect(peakOf(BASELINE, { microBatch })).toBeLessThanOrEqual(less);
    expect(peakOf(BASELINE, { microBatch: microBatch + 1 })).toBeGreaterThan(less);
  });

  it("says 0 where nothing of them would fit", () => {
    expect(answer(BASELINE, 1_000)).toEqual({ kvCacheBytes: 0, kvCacheTokens: 0, microBatch: 0 });
  });
});

describe("with memory that is released in between", () => {
  it("is limited only by the phases that hold it", () => {
    const capacityBytes = peakOf(RELEASING);
    const { kvCacheBytes, microBatch } = answer(RELEASING, capacityBytes);
    const rollout = peaks(RELEASING).find(({ work }) => work === "rollout")?.peakBytes ?? Number.NaN;
    // The peak is in training, which the KV cache does not see: it can have all that training takes.
    expect(kvCacheBytes).toBeGreaterThan(KV_BYTES + capacityBytes - rollout - CHUNK_BYTES - BLOCK_BYTES);
    expect(kvCacheBytes).toBeGreaterThan(answer(BASELINE, peakOf(BASELINE)).kvCacheBytes);
    expect(microBatch).toBe(MICRO_BATCH);
  });

  it("is 0 when the run does not fit for other reasons", () => {
    // Training takes more than the capacity without any KV cache.
    expect(answer(RELEASING, peakOf(RELEASING) - 1).kvCacheBytes).toBe(0);
  });
});

it("never promises more than fits, whatever the strategies and the capacity", () => {
  const spare = fc.integer({ min: -8_000, max: 20_000 });
  fc.assert(
    fc.property(anyStrategies, spare, (set, spareBytes) => {
      let schedule: Schedule;
      try {
        schedule = buildSchedule(set, ROLES);
      } catch {
        return; // a contradiction
      }
      const capacityBytes = Math.max(0, peakOf(schedule) + spareBytes);
      const { kvCacheBytes, microBatch } = answer(schedule, capacityBytes);
      if (kvCacheBytes > 0) expect(peakOf(schedule, { kvBytes: kvCacheBytes })).toBeLessThanOrEqual(capacityBytes);
      if (microBatch > 0) expect(peakOf(schedule, { microBatch })).toBeLessThanOrEqual(capacityBytes);
      if (spareBytes >= 0) {
        expect(kvCacheBytes).toBeGreaterThanOrEqual(KV_BYTES);
        expect(microBatch).toBeGreaterThanOrEqual(MICRO_BATCH);
      }
    }),
  );
});

describe("without an answer", () => {
  it("after the first step alone, in which much is taken only at its first use", () => {
    const phases = peaks(BASELINE).map((phase) => ({ ...phase, step: 0 }));
    expect(fitOf(BASELINE, 100_000, { phases })).toBeUndefined();
  });

  it("when a step ended before its last phase", () => {
    expect(fitOf(BASELINE, 100_000, { phases: peaks(BASELINE).slice(0, 4) })).toBeUndefined();
  });
});

it("takes the highest of several peaks of a phase", () => {
  const capacityBytes = peakOf(BASELINE);
  const phases = [...peaks(BASELINE), ...peaks(BASELINE).map((phase) => ({ ...phase, step: 2, peakBytes: 1 }))];
  expect(answer(BASELINE, capacityBytes, { phases })).toEqual(answer(BASELINE, capacityBytes));
});

it("leaves a micro-batch as it is that no phase computes with", () => {
  const schedule = { ...BASELINE, phases: BASELINE.phases.filter(({ work }) => work === "rollout") };
  expect(answer(schedule, 100_000).microBatch).toBe(MICRO_BATCH);
});

it("goes up to the largest micro-batch that a trainer takes", () => {
  const scratchBytes = (microBatch: number) => (microBatch > 1_000 ? Number.POSITIVE_INFINITY : 500);
  expect(answer(BASELINE, 100_000, { scratchBytes }).microBatch).toBe(1_000);
});
