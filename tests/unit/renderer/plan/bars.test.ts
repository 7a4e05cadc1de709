import { describe, expect, it } from "vitest";
import { predict } from "../../../../core/planner/predict/predict.ts";
import { PRESETS, presetNamed } from "../../../../core/planner/presets.ts";
import {
  type BarGeometry,
  consumersOf,
  geometryOf,
  gpuIndex,
  MARGIN,
  measuredStacks,
  phaseBars,
  stacksOf,
} from "../../../../renderer/screens/plan/chart/bars.ts";

const SIZE = { width: 640, height: 320 };
const plans = PRESETS.map(({ name, plan }) => [name, plan] as const);

describe("the bars of a plan", () => {
  it.each(plans)("%s: segments fill each bar from the axis to its total, within the picture", (_, plan) => {
    const prediction = predict(plan);
    const phases = phaseBars(prediction, gpuIndex(prediction, undefined), undefined);
    const { columns, bottom } = geometryOf(phases, prediction, SIZE);
    expect(columns.map(({ phase }) => phase.work)).toEqual(prediction.schedule.phases.map(({ work }) => work));
    for (const { bars } of columns) {
      const [own] = bars;
      const heights = own.segments.reduce((sum, { height }) => sum + height, 0);
      expect(heights).toBeCloseTo(bottom - own.top, 6);
      expect(own.top).toBeGreaterThanOrEqual(MARGIN.top);
      expect(own.x).toBeGreaterThanOrEqual(MARGIN.left);
      expect(own.x + own.width).toBeLessThanOrEqual(SIZE.width - MARGIN.right);
    }
  });

  it("says how much lies beyond the capacity, and nothing where all of it fits", () => {
    const { plan } = presetNamed("1xh100-adam-offload");
    const excess = (optimizerOnHost: boolean) => {
      const prediction = predict({ ...plan, strategies: { ...plan.strategies, optimizerOnHost } });
      const phases = phaseBars(prediction, 0, undefined);
      return geometryOf(phases, prediction, SIZE).columns.map(({ bars: [own] }) => own.excess);
    };
    expect(Math.max(...excess(true))).toBe(0);
    expect(Math.max(...excess(false))).toBeGreaterThan(0);
  });

  it("two bars of a phase stand side by side in their column", () => {
    const prediction = predict(presetNamed("4xh100-colocated").plan);
    const other = predict(presetNamed("8xh100-separate").plan);
    const phases = phaseBars(prediction, 0, stacksOf(other, gpuIndex(other, "trainer")));
    for (const { x, width, bars } of geometryOf(phases, prediction, SIZE).columns) {
      const [own, beside]: readonly [BarGeometry, BarGeometry?] = bars;
      expect(beside?.x).toBeGreaterThanOrEqual(own.x + own.width);
      expect((beside?.x ?? 0) + (beside?.width ?? 0)).toBeLessThanOrEqual(x + width);
    }
  });

  it("draws the GPU that is asked for, else the fullest", () => {
    const prediction = predict(presetNamed("8xh100-separate").plan);
    expect(prediction.gpus[gpuIndex(prediction, "engine")]?.kind).toBe("engine");
    expect(prediction.gpus[gpuIndex(prediction, undefined)]).toBe(prediction.fullest);
    // A plan laid beside may have one kind only.
    expect(gpuIndex(predict(presetNamed("demo").plan), "engine")).toBe(0);
  });

  it("what a run measured is stacked in the same order, its pool on top", () => {
    const stacks = measuredStacks([
      {
        step: 1,
        work: "rollout",
        startSeconds: 0,
        endSeconds: 1,
        workSeconds: 1,
        memorySeconds: 0,
        peakBytes: 60,
        holders: { pool: 10, "engine.kv_cache": 20, "engine.weights": 30 },
      },
    ]);
    const stack = stacks.get("rollout");
    expect(stack?.holders.map(({ consumer }) => consumer)).toEqual(["engine.weights", "engine.kv_cache", "pool"]);
    expect(stack?.bytes).toBe(60);
  });

  it("the legend has every consumer of both stacks once", () => {
    const prediction = predict(presetNamed("4xh100-colocated").plan);
    const consumers = consumersOf(phaseBars(prediction, 0, undefined));
    expect(new Set(consumers).size).toBe(consumers.length);
    expect(consumers).toContain("policy.optimizer");
  });
});
