import { describe, expect, it } from "vitest";
import { type Plan, planSchema } from "../../../../core/planner/plan.ts";
import { predict } from "../../../../core/planner/predict/predict.ts";
import { presetNamed } from "../../../../core/planner/presets.ts";
import type { PhaseRecord } from "../../../../core/run/records.ts";
import type { RunState } from "../../../../core/run/state.ts";
import { differenceFromRoles, isSameWorkload, measuredOf } from "../../../../renderer/screens/plan/measured.ts";
import { effectOf, stepSeconds } from "../../../../renderer/screens/plan/strategies/effects.ts";
import { roles, runState, stepRecord, workload } from "../fake-run.ts";

const colocated = predict(presetNamed("4xh100-colocated").plan);
const demo = presetNamed("demo").plan;

describe("what a strategy saves and costs", () => {
  it("is what two predictions differ by, and the other way round when it is switched back", () => {
    const off = effectOf(colocated, { releaseKvCache: false });
    if (!off.ok) throw new Error(off.problem);
    const without = predict(off.plan);
    expect(off.peakBytes).toBe(without.fullest.peakBytes - colocated.fullest.peakBytes);
    expect(off.seconds).toBeCloseTo(stepSeconds(without) - stepSeconds(colocated), 9);
    const on = effectOf(without, { releaseKvCache: true });
    expect(on.ok && on.peakBytes).toBe(-off.peakBytes);
  });

  it("that cannot be says why", () => {
    const effect = effectOf(colocated, { swap: { method: "share" }, singlePolicyCopy: "off" });
    expect(effect).toEqual({ ok: false, problem: expect.stringMatching(/ZeRO 3/) });
  });
});

describe("what a run measured of a plan", () => {
  const prediction = predict(demo);
  const run = (change: Partial<RunState> = {}): RunState => ({
    ...runState(),
    workload: { ...workload, plan: { ...demo, name: "the workload" } },
    schedule: prediction.schedule,
    ...change,
  });
  const steps = [stepRecord(0), stepRecord(1)];

  it("is its last complete step", () => {
    expect(measuredOf(demo, prediction.schedule, run(), steps)?.step).toBe(2);
    expect(measuredOf(demo, prediction.schedule, run(), [])).toBeUndefined();
    expect(measuredOf(demo, prediction.schedule, undefined, steps)).toBeUndefined();
  });

  it("is of the device that is the GPU of the plan, where the engine has one of its own", () => {
    const placement = { kind: "separate", trainerGpus: 1, engineGpus: 1 };
    const apart: Plan = planSchema.parse({ ...demo, placement });
    const { schedule } = predict(apart);
    const onTwo = run({
      workload: { ...workload, plan: apart },
      schedule,
      devices: [
        { name: "cuda:1", capacityBytes: 1, holds: ["engine"] },
        { name: "cuda:0", capacityBytes: 1, holds: ["policy", "critic", "reference"] },
      ],
    });
    const phase: PhaseRecord = {
      ...{ step: 1, startSeconds: 1, endSeconds: 2, workSeconds: 1, memorySeconds: 0 },
      ...{ peakBytes: 30, holders: {} },
      work: "rollout",
      devices: { "cuda:1": { peakBytes: 10, holders: {} }, "cuda:0": { peakBytes: 20, holders: {} } },
    };
    const measured = (kind: "engine" | "trainer") =>
      measuredOf(apart, schedule, onTwo, [{ ...stepRecord(1), phases: [phase] }], kind);
    expect(measured("engine")).toMatchObject({ device: undefined, phases: [{ peakBytes: 10 }] });
    expect(measured("trainer")).toMatchObject({ device: "cuda:0", phases: [{ peakBytes: 20 }] });
  });

  it("is nothing where sizes, memory or the loop are others", () => {
    const larger = { ...demo, workload: { ...demo.workload, batch: 512 } };
    expect(measuredOf(larger, prediction.schedule, run(), steps)).toBeUndefined();
    const smaller = { ...demo, gpu: { ...demo.gpu, totalBytes: 1 } };
    expect(measuredOf(smaller, prediction.schedule, run(), steps)).toBeUndefined();
    const other = predict({ ...demo, strategies: { ...demo.strategies, releaseKvCache: true } });
    expect(measuredOf(other.plan, other.schedule, run(), steps)).toBeUndefined();
  });

  it("does not depend on names, strategies and the order of fields", () => {
    const { workload: sizes, ...rest } = demo;
    const reordered = { ...rest, workload: Object.fromEntries(Object.entries(sizes).reverse()) as typeof sizes };
    expect(isSameWorkload(demo, { ...reordered, name: "other" })).toBe(true);
  });

  it("cannot be had where the roles differ, and says which", () => {
    expect(differenceFromRoles(demo, roles, "demo-ppo")).toBe("the engine is fp32 in the plan and bf16 in demo-ppo");
    expect(differenceFromRoles(colocated.plan, { ...roles, reward: "bf16" }, "x")).toBeUndefined();
  });
});
