/** What a run says could still fit, tried: the demo with exactly that runs to its end, and with one more it does not. */
import { describe, expect, test } from "vitest";
import { TidelineError } from "../../../core/errors.ts";
import { largestFit } from "../../../core/run/largest-fit.ts";
import { roomFor } from "../support.ts";
import { demoWorkload, scheduleOf, start } from "./support.ts";

const CAPACITY_BYTES = roomFor(32 * 2 ** 20);
const STEPS = { kind: "steps", steps: 2 } as const;
const small = { rollouts: 32, miniBatches: 2, epochs: 1 };

interface Sizes {
  readonly kvCacheBytes?: number;
  readonly microBatch?: number;
}

type Strategies = Parameters<typeof scheduleOf>[1];

async function workloadWith({ kvCacheBytes, microBatch }: Sizes) {
  const { settings } = await demoWorkload(small);
  const device = { ...settings.device, capacityBytes: CAPACITY_BYTES, ...(kvCacheBytes && { kvCacheBytes }) };
  return demoWorkload({ ...small, device, ...(microBatch && { microBatch }) });
}

async function runWith(strategies: Strategies, sizes: Sizes = {}) {
  const workload = await workloadWith(sizes);
  const schedule = scheduleOf(workload, strategies);
  const started = await start(workload, schedule);
  const { run } = await started.run.go(STEPS);
  return { ...started, schedule, outcome: run };
}

/** The code of what stopped the run, if anything did: on the way, or before it began. */
async function failureOf(strategies: Strategies, sizes: Sizes): Promise<string | undefined> {
  try {
    const { outcome } = await runWith(strategies, sizes);
    return outcome.status === "failed" ? outcome.error.code : undefined;
  } catch (error) {
    if (error instanceof TidelineError) return error.code;
    throw error;
  }
}

describe.each<readonly [name: string, Strategies]>([
  // Its peak is in the bucket that the weights pass through.
  ["everything resident", {}],
  [
    "memory released in between",
    { releaseKvCache: true, trainingMemoryOnlyWhileTraining: true, swap: { method: "copy" } },
  ],
])("%s", (_, strategies) => {
  test("the KV cache and the micro-batch can each grow so far, and no further", async () => {
    const { run, backend, schedule } = await runWith(strategies);
    const phases = run.records.steps.flatMap((step) => step.phases);
    const sizing = backend.sizings()[0]?.sizing;
    if (sizing === undefined) throw new Error("a run has a device");
    const fit = largestFit({ ...sizing, schedule, capacityBytes: CAPACITY_BYTES, phases });
    if (fit === undefined) throw new Error("two steps are complete");
    const blockBytes = 16 * sizing.kvCache.bytesPerToken;
    expect(fit.kvCacheBytes).toBeGreaterThan(sizing.kvCache.bytes);
    expect(fit.microBatch).toBeGreaterThan(sizing.microBatch);

    expect(await failureOf(strategies, { kvCacheBytes: fit.kvCacheBytes })).toBeUndefined();
    expect(await failureOf(strategies, { kvCacheBytes: fit.kvCacheBytes + blockBytes })).toBe("out_of_memory");
    expect(await failureOf(strategies, { microBatch: fit.microBatch })).toBeUndefined();
    expect(await failureOf(strategies, { microBatch: fit.microBatch + 1 })).toBe("out_of_memory");
  });
});
