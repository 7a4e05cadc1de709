/** What would make a plan fit: it does, with nothing less, and the smallest comes first. */
import { describe, expect, it } from "vitest";
import { contradictionsOf, type Plan, planSchema } from "../../../../core/planner/plan.ts";
import { PRESETS } from "../../../../core/planner/presets.ts";
import { gpuCount } from "../../../../core/planner/resolve.ts";
import { canFit, planBest } from "../../../../core/planner/search/best.ts";
import { changesThatFit, type FittingChange, nothingOnThisCard } from "../../../../core/planner/search/changes.ts";
import { type Edit, EFFECTS } from "../../../../core/planner/search/edit.ts";
import { editsOf } from "../../../../core/planner/search/edits.ts";
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
  ["70B on an H100", onOne("H100 SXM", "Llama-3.1-70B", 4)],
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

  it("comes from the smallest effect to the largest, and of one effect from the fewest GPUs to the most", () => {
    const ranks = changes.map(({ effect, edits, prediction }) => [
      EFFECTS.indexOf(effect),
      gpuCount(prediction.plan),
      edits.length,
      prediction.workSeconds + prediction.memorySeconds,
    ]);
    expect(ranks).toEqual(ranks.toSorted(lexicographically));
  });
});

function lexicographically(one: readonly number[], other: readonly number[]): number {
  const index = one.findIndex((rank, place) => rank !== other[place]);
  return index < 0 ? 0 : (one[index] ?? 0) - (other[index] ?? 0);
}

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
  for (const { edits, prediction } of together) {
    for (const { field } of edits) {
      const without = edits.filter((edit) => edit.field !== field);
      expect(plansOf(plan, without, prediction.plan).some(fits), `without ${field}`).toBe(false);
    }
  }
});

/** All plans that a change's edits come to, each with the step that has its label in what became of the plan. */
function plansOf(plan: Plan, edits: FittingChange["edits"], changed: Plan): readonly Plan[] {
  return edits.reduce<readonly Plan[]>(
    (plans, { field, label }) => {
      const steps = editsOf(plan).find((edit) => edit.field === field)?.steps ?? [];
      const step = steps.find((one) => one.label(changed) === label);
      if (step === undefined) throw new Error(`there is no step "${label}" of ${field}`);
      return plans.flatMap((one) => step.apply(one));
    },
    [plan],
  );
}

function fits(plan: Plan): boolean {
  return contradictionsOf(plan).length === 0 && planBest(plan).kind === "found";
}

it("70B on one H100: a node with LoRA, or two nodes; the engine is divided as its heads allow", () => {
  const changes = changesThatFit(onOne("H100 SXM", "Llama-3.1-70B", 8));
  const onH100 = changes.filter(({ prediction }) => prediction.gpu.name === "H100 SXM");
  expect(onH100.map(({ prediction }) => gpuCount(prediction.plan))).toEqual([8, 16]);
  for (const { prediction, edits } of onH100) {
    const { placement } = prediction.plan;
    expect(placement.zeroStage).toBe(3);
    expect(64 % placement.engineTensorParallel).toBe(0);
    // 141 GB of weights are more than one card.
    expect(placement.engineTensorParallel).toBeGreaterThan(1);
    expect(edits.at(-1)?.label).toContain(`engine over ${placement.engineTensorParallel}`);
  }
});

it("divides heads only as servers do: 28 heads over 4 of keys and values never over 7 or 8", () => {
  const changes = changesThatFit(onOne("RTX 4090", "Qwen2.5-7B", 8));
  const sizes = changes.map(({ prediction }) => prediction.plan.placement.engineTensorParallel);
  expect(sizes.length).toBeGreaterThan(0);
  for (const size of sizes) expect([1, 2, 4]).toContain(size);
});

it("says so, with the number, where no number of this card that is tried would do", () => {
  const plan = onOne("RTX 3090", "DeepSeek-V3", 1);
  const changes = changesThatFit(plan);
  for (const { prediction } of changes) expect(prediction.gpu.name).not.toBe("RTX 3090");
  expect(nothingOnThisCard(plan, changes)).toBe("No change that is known would make it fit on up to 128 RTX 3090.");
  const possible = onOne("H100 SXM", "Llama-3.1-70B", 8);
  expect(nothingOnThisCard(possible, changesThatFit(possible))).toBeUndefined();
});

describe("against every pair of steps, tried one by one", () => {
  const plan = onOne("RTX 4090", "Qwen2.5-1.5B", 4);
  const own = editsOf(plan)
    .filter(({ effect }) => effect !== "hardware")
    .toSorted((one, other) => EFFECTS.indexOf(one.effect) - EFFECTS.indexOf(other.effect));

  it("no edit is enough alone, and of each pair that is the smallest is found", () => {
    const applied = (from: readonly Plan[], edit: Edit, index: number) =>
      from.flatMap((one) => edit.steps[index]?.apply(one) ?? []);
    const expected: string[][] = [];
    for (const [place, one] of own.entries()) {
      for (const index of one.steps.keys()) expect(applied([plan], one, index).some(fits)).toBe(false);
      for (const other of own.slice(place + 1)) {
        const enough = [...other.steps.keys()].flatMap((second) =>
          [...one.steps.keys()].flatMap((first) =>
            applied(applied([plan], one, first), other, second).some(fits) ? [[first, second] as const] : [],
          ),
        );
        // Of the one that does more the least, and with it of the other.
        const [least] = enough.toSorted(([a, b], [c, d]) => b - d || a - c);
        if (least === undefined) continue;
        expected.push([`${one.field} ${least[0]}`, `${other.field} ${least[1]}`]);
      }
    }
    const found = changesThatFit(plan)
      .filter(({ effect }) => effect !== "hardware")
      .map(({ edits, prediction }) =>
        edits.map(({ field, label }) => {
          const edit = own.find((candidate) => candidate.field === field);
          return `${field} ${edit?.steps.findIndex((step) => step.label(prediction.plan) === label)}`;
        }),
      );
    expect(expected.length).toBeGreaterThan(1);
    expect(found.map(String).sort()).toEqual(expected.map(String).sort());
  });
});

it("whether anything fits is found out as by looking for the best", () => {
  const plans = ["Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-7B", "Qwen3-30B-A3B"].flatMap((model) =>
    ["RTX 4090", "A100 80GB SXM", "B200"].flatMap((gpu) =>
      [1, 8].map((microBatch) => onOne(gpu, model, microBatch, { gradientCheckpointing: microBatch === 1 })),
    ),
  );
  const said = [...plans, ...PRESETS.map(({ plan }) => plan)].map((plan) => [canFit(plan, {}), planBest(plan).kind]);
  expect(new Set(said.map(String))).toEqual(new Set(["true,found", "false,none"]));
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
      "workload.policy.gradients",
      "workload.policy.optimizer",
    ]).toContain(field);
  }
});

it("offers 16-bit gradients where the embedded engine's float32 ones do not fit", () => {
  const plan = onOne("H100 SXM", "Qwen2.5-7B", 4, { gradientCheckpointing: true });
  const { workload } = plan;
  const embedded: Plan = {
    ...plan,
    gpu: { name: "H100 SXM", embedded: true, totalBytes: 78 * 2 ** 30 },
    workload: { ...workload, lossChunkTokens: 256, engine: { ...workload.engine, kvCacheBytes: 4 * 2 ** 30 } },
  };
  expect(planBest(embedded).kind).toBe("none");
  const changes = changesThatFit(embedded);
  expect(changes.length).toBeGreaterThan(0);
  for (const { edits } of changes) {
    expect(edits.map(({ label }) => label)).toContain("gradients in bf16");
  }
});
