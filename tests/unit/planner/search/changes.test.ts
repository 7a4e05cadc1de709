/** What would make a plan fit: it does, with nothing less, and the smallest comes first. */
import { describe, expect, it } from "vitest";
import { type Plan, planSchema } from "../../../../core/planner/plan.ts";
import { PRESETS } from "../../../../core/planner/presets.ts";
import { planBest } from "../../../../core/planner/search/best.ts";
import { changesThatFit } from "../../../../core/planner/search/changes.ts";
import { EFFECTS, editsOf } from "../../../../core/planner/search/edits.ts";
import { planWith } from "../plans.ts";

const role = (model: string, more = {}) => ({ model, ...more });

/** Policy, critic and reference of one model on one card. */
function onOne(gpu: string, model: string, microBatch: number, more = {}): Plan {
  const trained = role(model, more);
  return planWith({
    gpu: { name: gpu },
    workload: { policy: trained, critic: trained, reference: role(model), microBatch },
  });
}

const TOO_LARGE: readonly (readonly [string, Plan])[] = [
  ["7B on an H100, Adam in fp32", onOne("H100 SXM", "Qwen2.5-7B", 4)],
  ["0.5B on a 4090, a large micro-batch", onOne("RTX 4090", "Qwen2.5-0.5B", 16)],
  ["1.5B on a 4090", onOne("RTX 4090", "Qwen2.5-1.5B", 8, { masterWeights: true })],
  ["30B of experts on an H200", onOne("H200", "Qwen3-30B-A3B", 1)],
];

describe.each(TOO_LARGE)("%s", (_, plan) => {
  const changes = changesThatFit(plan);

  it("does not fit as it is, and does with each of the changes", () => {
    expect(planBest(plan).kind).toBe("none");
    expect(changes.length).toBeGreaterThan(0);
    for (const { prediction, edits } of changes) {
      expect(prediction.fit, edits.map(({ label }) => label).join(" and ")).toBe("fits");
      expect(planSchema.safeParse(prediction.plan).success).toBe(true);
    }
  });

  it("comes from the smallest effect to the largest, and of one effect from the fastest to the slowest", () => {
    const ranks = changes.map(({ effect, prediction }) => ({
      rank: EFFECTS.indexOf(effect),
      seconds: prediction.workSeconds + prediction.memorySeconds,
    }));
    const sorted = ranks.toSorted((one, other) => one.rank - other.rank || one.seconds - other.seconds);
    expect(ranks).toEqual(sorted);
  });
});

it("takes the smallest step: one micro-batch more does not fit", () => {
  const plan = onOne("RTX 4090", "Qwen2.5-0.5B", 16);
  const change = changesThatFit(plan).find(({ edits }) => edits[0]?.field === "workload.microBatch");
  const size = change?.prediction.plan.workload.microBatch ?? 0;
  expect(size).toBeGreaterThan(0);
  const twice = { ...plan, workload: { ...plan.workload, microBatch: 2 * size } };
  expect(planBest(twice).kind).toBe("none");
});

it("puts edits together where none is enough, and leaves none in that is not needed", () => {
  const plan = onOne("H100 SXM", "Qwen3-30B-A3B", 4);
  const together = changesThatFit(plan).filter(({ edits }) => edits.length > 1);
  expect(together.length).toBeGreaterThan(0);
  const steps = new Map(editsOf(plan).flatMap((edit) => edit.steps.map((step) => [step.label, step.apply] as const)));
  for (const { edits } of together) {
    for (const { label } of edits) {
      const without = edits.filter((edit) => edit.label !== label);
      const edited = without.reduce((changed, edit) => steps.get(edit.label)?.(changed) ?? changed, plan);
      expect(planBest(edited).kind, `without ${label}`).toBe("none");
    }
  }
});

it("offers the embedded engine nothing that it does not have", () => {
  const demo = PRESETS.find(({ name }) => name === "demo")?.plan;
  if (demo === undefined) throw new Error("the demo is a preset");
  const tiny = { ...demo, gpu: { ...demo.gpu, totalBytes: 6 * 2 ** 20 } };
  expect(planBest(tiny).kind).toBe("none");
  const fields = changesThatFit(tiny).flatMap(({ edits }) => edits.map(({ field }) => field));
  expect(fields.length).toBeGreaterThan(0);
  for (const field of fields) {
    expect([
      "workload.microBatch",
      "workload.policy.gradientCheckpointing",
      "workload.engine.kvCacheBytes",
      "workload.reference.precision",
      "workload.policy.precision",
    ]).toContain(field);
  }
});
