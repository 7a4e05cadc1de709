/** How far a size can grow: so far, and no further. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Plan } from "../../../../core/planner/plan.ts";
import { predict } from "../../../../core/planner/predict/predict.ts";
import { presetNamed } from "../../../../core/planner/presets.ts";
import { largestThatFits, type Size } from "../../../../core/planner/search/largest.ts";
import { planWith } from "../plans.ts";

function withSize(plan: Plan, size: Size, value: number): Plan {
  const { workload } = plan;
  return size === "kvCacheBytes"
    ? { ...plan, workload: { ...workload, engine: { ...workload.engine, kvCacheBytes: value } } }
    : { ...plan, workload: { ...workload, [size]: value } };
}

describe.each(["1xh100-adam-offload", "4xh100-colocated", "demo"])("%s", (name) => {
  const { plan } = presetNamed(name);
  it.each<Size>(["batch", "responseTokens", "kvCacheBytes", "microBatch"])("%s", (size) => {
    const { value, prediction } = largestThatFits(plan, size);
    expect(value).toBeGreaterThan(0);
    expect(prediction?.fit).toBe("fits");
    expect(predict(withSize(plan, size, value)).fit).toBe("fits");
    const step = size === "kvCacheBytes" ? Math.ceil(predict(plan).capacityBytes / 1024) : 1;
    const more = withSize(plan, size, value + step);
    const isStopped = size === "microBatch" && value === plan.workload.batch;
    const isPastPositions = name === "demo" && size === "responseTokens";
    const isLargestBatch = value === 2 ** 20;
    if (!isStopped && !isPastPositions && !isLargestBatch) expect(predict(more).fit).not.toBe("fits");
  });
});

it("is the largest batch, whatever the micro-batch that the search begins at", () => {
  const { plan } = presetNamed("4xh100-colocated");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 200 }), (microBatch, sparePercent) => {
      const workload = { ...plan.workload, microBatch, batch: microBatch };
      const least = predict({ ...plan, workload }).gpus.map(({ peakBytes }) => peakBytes);
      const totalBytes = Math.ceil(Math.max(...least) * (1 + sparePercent / 100));
      const tight = { ...plan, workload, gpu: { ...plan.gpu, totalBytes } };
      const { value } = largestThatFits(tight, "batch");
      if (value === 0) expect(predict(tight).fit).not.toBe("fits");
      else expect(predict(withSize(tight, "batch", value)).fit).toBe("fits");
      expect(predict(withSize(tight, "batch", Math.max(microBatch, value + 1))).fit).not.toBe("fits");
    }),
    { numRuns: 40 },
  );
});

it("is nothing for a plan that does not fit whatever the size", () => {
  const plan = planWith({ gpu: { name: "RTX 4090" } });
  expect(largestThatFits(plan, "microBatch")).toMatchObject({ value: 0, prediction: undefined });
});

it("stops a response at the positions of its model", () => {
  const { plan } = presetNamed("demo");
  const { value } = largestThatFits(plan, "responseTokens");
  expect(value + plan.workload.promptTokens).toBe(64);
});
