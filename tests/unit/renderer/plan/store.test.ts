import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Plan, planSchema } from "../../../../core/planner/plan.ts";
import { PRESETS, presetNamed } from "../../../../core/planner/presets.ts";
import { evaluationOf, problemAt } from "../../../../renderer/screens/plan/evaluation.ts";
import {
  loraRank,
  optionalEngineField,
  optionalGpuField,
  optionalWorkloadField,
  workloadField,
} from "../../../../renderer/screens/plan/form/lens.ts";
import { withModel, withReward } from "../../../../renderer/screens/plan/form/roles.ts";
import { nearestStep, STEPS } from "../../../../renderer/screens/plan/form/steps.ts";
import {
  choosePlan,
  editPlan,
  exchangePlans,
  layBeside,
  redoPlan,
  undoPlan,
  usePlan,
} from "../../../../renderer/state/plan.ts";

const batch = workloadField("batch");
const shown = (): Plan => usePlan.getState().plan;
const setBatch = (value: number) => editPlan(batch.field, (plan) => batch.set(plan, value));

beforeEach(() => {
  usePlan.setState({ plan: PRESETS[0].plan, past: [], future: [], edited: undefined, other: undefined });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the plan on the screen", () => {
  it("what a slider went through is undone at once, and redone", () => {
    const before = shown();
    for (const value of [8, 12, 16, 96]) setBatch(value);
    editPlan("name", (plan) => ({ ...plan, name: "another" }));
    undoPlan();
    expect([shown().name, shown().workload.batch]).toEqual([before.name, 96]);
    undoPlan();
    expect(shown()).toBe(before);
    redoPlan();
    redoPlan();
    expect([shown().name, shown().workload.batch]).toEqual(["another", 96]);
    setBatch(8);
    redoPlan();
    expect(shown().workload.batch).toBe(8);
  });

  it("of what a slider goes through, the end is kept in the browser's storage", () => {
    vi.useFakeTimers();
    const kept: number[] = [];
    const setItem = (_: string, text: string) => kept.push(JSON.parse(text).plan.workload.batch);
    vi.stubGlobal("localStorage", { setItem });
    for (const value of [8, 12, 16, 96]) setBatch(value);
    vi.runAllTimers();
    expect(kept.at(-1)).toBe(96);
    expect(kept).not.toContain(12);
  });

  it("exchanges with the plan beside, which can be undone", () => {
    const [own, other] = [shown(), presetNamed("demo").plan];
    layBeside(other);
    exchangePlans();
    expect([shown(), usePlan.getState().other]).toEqual([other, own]);
    undoPlan();
    expect(shown()).toBe(own);
  });

  it("a field that is left out is absent, as the file format wants it", () => {
    const lenses = [
      optionalWorkloadField("lossChunkTokens"),
      optionalEngineField("kvCacheBytes"),
      optionalGpuField("totalBytes"),
      loraRank("policy"),
    ];
    for (const lens of lenses) {
      const set = lens.set(shown(), 16);
      expect(lens.get(set)).toBe(16);
      const cleared = lens.set(set, undefined);
      expect(lens.get(cleared)).toBeUndefined();
      expect(planSchema.safeParse(cleared).success).toBe(true);
    }
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 60])("a batch of %d is a problem of that field", (value) => {
    setBatch(value);
    const evaluation = evaluationOf(shown());
    expect(problemAt(evaluation, "workload.batch")?.message).toBe("must be a whole number from 1 to 1048576");
    expect(problemAt(evaluation, "workload.responseTokens")).toBeUndefined();
  });

  it("what is asked of a plan's name is said in words", () => {
    const nameless = evaluationOf({ ...shown(), name: "" });
    expect(problemAt(nameless, "name")?.message).toBe("must be text of at least 1 character");
  });

  it("what only the model's shape rules out is said at its field too, without the field's name in the words", () => {
    choosePlan({
      ...shown(),
      placement: { ...presetNamed("4xh100-colocated").plan.placement, engineTensorParallel: 4 },
    });
    expect(evaluationOf(shown()).ok).toBe(true);
    editPlan("workload.responseTokens", (plan) => workloadField("responseTokens").set(plan, 100_000));
    const problem = problemAt(evaluationOf(shown()), "workload.responseTokens");
    expect(problem?.message).toMatch(/^prompt and response are \d+ tokens/);
    expect(problem?.hint).toMatch(/^at most \d+/);
  });

  it("another model goes to every role that had the policy's, and to no other", () => {
    const { workload } = withModel(presetNamed("4xh100-colocated").plan, "Qwen3-8B");
    expect([workload.policy.model, workload.critic.model, workload.reference.model]).toEqual(
      Array.from({ length: 3 }, () => "Qwen3-8B"),
    );
    const mixed: Plan = {
      ...shown(),
      workload: { ...shown().workload, reference: { model: "Qwen3-4B", precision: "bf16" } },
    };
    expect(withModel(mixed, "Qwen3-8B").workload.reference.model).toBe("Qwen3-4B");
  });

  it("a rule has no model to offload or to quantise", () => {
    const { plan } = presetNamed("4xh100-colocated");
    const ruled = withReward({ ...plan, strategies: { ...plan.strategies, reward: "host" } }, "rule");
    expect(evaluationOf(ruled).ok).toBe(true);
    expect(withReward(ruled, "model").workload.reward).toEqual(ruled.workload.reference);
  });
});

describe("steps of sliders", () => {
  it("go up, from 1, by at most a half", () => {
    for (const [index, step] of STEPS.entries()) {
      const before = STEPS[index - 1];
      if (before === undefined) expect(step).toBe(1);
      else expect(step / before).toBeLessThanOrEqual(2);
      expect(Number.isInteger(step)).toBe(true);
    }
  });

  it.each([
    [1, 1],
    [5, 6],
    [100, 96],
    [1e9, STEPS.at(-1)],
    [0, 1],
    [Number.NaN, 1],
  ])("%d is nearest to %d", (value, nearest) => {
    expect(STEPS[nearestStep(STEPS, value)]).toBe(nearest);
  });
});
