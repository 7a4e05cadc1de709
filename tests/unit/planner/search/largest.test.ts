/** How far a size can grow: so far, and no further. */
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

it("is nothing for a plan that does not fit whatever the size", () => {
  const plan = planWith({ gpu: { name: "RTX 4090" } });
  expect(largestThatFits(plan, "microBatch")).toMatchObject({ value: 0, prediction: undefined });
});

it("stops a response at the positions of its model", () => {
  const { plan } = presetNamed("demo");
  const { value } = largestThatFits(plan, "responseTokens");
  expect(value + plan.workload.promptTokens).toBe(64);
});
