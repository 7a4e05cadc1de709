/** Plans: what a person may leave out, what is refused and where, and the two ways to hand one on. */

import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { TidelineError } from "../../../core/errors.ts";
import { layoutOf, type Plan } from "../../../core/planner/plan.ts";
import { formatPlan, parsePlan } from "../../../core/planner/plan-file.ts";
import { resolvePlan } from "../../../core/planner/resolve.ts";
import { planFromLine, planToLine } from "../../../core/planner/share.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { merged, planWith, SMALLEST } from "./plans.ts";

function errorOf(read: () => Plan): TidelineError {
  try {
    read();
  } catch (error) {
    if (error instanceof TidelineError) return error;
    throw error;
  }
  throw new Error("it was read without an error");
}

describe("a plan file", () => {
  it("can be written with little, and says what was meant by the rest", () => {
    const plan = parsePlan(JSON.stringify(SMALLEST), "mine.json");
    expect(plan.workload.policy).toEqual({
      model: "Qwen/Qwen2.5-7B",
      precision: "bf16",
      masterWeights: false,
      autocast: false,
      optimizer: "adamw",
      gradientCheckpointing: false,
    });
    expect(plan.workload.engine).toEqual({ precision: "bf16", kvCacheType: "auto", cudaGraphs: true });
    expect(plan.strategies).toEqual(NO_STRATEGIES);
    expect(parsePlan(formatPlan(plan), "mine.json")).toEqual(plan);
  });

  it("takes a model that the catalogue does not know by its config.json", () => {
    const config = { model_type: "qwen2", hidden_size: 896, rope_scaling: null, architectures: ["Qwen2ForCausalLM"] };
    const plan = planWith({ workload: { policy: { model: { name: "mine", config } } } });
    expect(plan.workload.policy.model).toEqual({ name: "mine", config });
  });

  it.each([
    ["a batch of nothing", { workload: { batch: 0 } }, "workload.batch", /from 1 to/],
    ["a length past 2^53", { workload: { responseTokens: 2 ** 53 } }, "workload.responseTokens", /from 1 to/],
    ["half a GPU", { placement: { gpus: 0.5 } }, "placement.gpus", /whole number/],
    [
      "LoRA on a frozen role",
      { workload: { reference: { lora: { rank: 8 } } } },
      "workload.reference.lora",
      /the reference is frozen.*policy and critic/,
    ],
    [
      "the same on the reward model",
      { workload: { reward: { model: "m", lora: {} } } },
      "workload.reward.lora",
      /frozen/,
    ],
    [
      "a precision of frozen roles",
      { workload: { policy: { precision: "nf4" } } },
      "workload.policy.precision",
      /"nf4"/,
    ],
    ["ZeRO 4", { placement: { zeroStage: 4 } }, "placement.zeroStage", /is 4/],
    [
      "masters of masters",
      { workload: { policy: { precision: "fp32", masterWeights: true } } },
      "workload.policy.masterWeights",
      /own masters/,
    ],
    [
      "16-bit gradients beside a launcher",
      { workload: { critic: { gradients: "bf16" } } },
      "workload.critic.gradients",
      /must be left out: launchers .* weights' precision/,
    ],
    [
      "gradients in fp16",
      { gpu: { embedded: true }, workload: { policy: { gradients: "fp16" } } },
      "workload.policy.gradients",
      /"fp16"/,
    ],
    ["a micro-batch above the batch", { workload: { microBatch: 65 } }, "workload.microBatch", /at most the batch, 64/],
    [
      "TP that does not divide the GPUs",
      { placement: { gpus: 4, tensorParallel: 3 } },
      "placement.tensorParallel",
      /3 does not divide 4 GPUs: choose 1, 2, 4$/,
    ],
    [
      "the same of the engine",
      { placement: { gpus: 4, engineTensorParallel: 8 } },
      "placement.engineTensorParallel",
      /8 does not divide 4/,
    ],
    ["a node and a half", { placement: { gpus: 12 } }, "placement.gpus", /nodes of 8/],
    [
      "int8 of int8",
      { workload: { reference: { precision: "int8" } }, strategies: { int8: { reference: true } } },
      "strategies.int8.reference",
      /int8 already/,
    ],
    ["a strategy that is none", { strategies: { magic: true } }, "strategies.magic", /not a field/],
    ["a version to come", { version: 2 }, "version", /is 2/],
  ])("refuses %s at its field", (_, changes, field, message) => {
    const error = errorOf(() => planWith(changes));
    expect(error.data).toMatchObject({ code: "plan_invalid", field });
    expect(error.message).toMatch(message);
  });

  it.each([
    [{ swap: { method: "share" } }, "strategies.swap.method"],
    [{ singlePolicyCopy: "as_is" }, "strategies.singlePolicyCopy"],
  ])("refuses one copy for engines with GPUs of their own: %j", (strategies, field) => {
    const apart = { ...SMALLEST, placement: { kind: "separate", trainerGpus: 4, engineGpus: 4 }, strategies };
    expect(errorOf(() => parsePlan(JSON.stringify(apart), "mine.json")).data.field).toBe(field);
  });

  it("says what is allowed where the choices are few", () => {
    const error = errorOf(() => planWith({ workload: { policy: { optimizer: "adam" } } }));
    expect(error.message).toBe('the plan: workload.policy.optimizer is "adam"');
    expect(error.hint).toBe("allowed: adamw, adamw_bf16, adamw_8bit, sgd");
  });

  it.each([
    [{ workload: { bacth: 8 } }, "workload.bacth", /^allowed: policy, critic, .*batch, promptTokens/],
    [{ workload: { policy: { quant: 1 } } }, "workload.policy.quant", /^allowed: model, precision, masterWeights/],
    [{ workload: { engine: { tp: 2 } } }, "workload.engine.tp", /^allowed: precision, kvCacheType, kvCacheBytes/],
    [{ workload: { critic: { lora: { rank: 8, alpha: 1 } } } }, "workload.critic.lora.alpha", /^allowed: rank$/],
    [{ gpu: { memory: 2 } }, "gpu.memory", /^allowed: name, totalBytes/],
    [{ strategies: { swap: { method: "copy", fast: 1 } } }, "strategies.swap.fast", /^allowed: method$/],
    [{ placement: { trainerGpus: 4 } }, "placement.trainerGpus", /^allowed: kind, gpus, gpusPerNode/],
    [{ gpus: 4 }, "gpus", /^allowed: version, name, workload, placement, gpu, strategies$/],
  ])("says which fields there are where one is none: %j", (changes, field, hint) => {
    const error = errorOf(() => planWith(changes));
    expect(error.data.field).toBe(field);
    expect(error.hint).toMatch(hint);
  });

  it("says the name that stands there rather than the one that is missing for it", () => {
    const { batch, ...workload } = SMALLEST.workload;
    const error = errorOf(() =>
      parsePlan(JSON.stringify({ ...SMALLEST, workload: { ...workload, bacth: batch } }), "a"),
    );
    expect(error.data.field).toBe("workload.bacth");
    expect(error.hint).toContain(" batch,");
  });

  it("that is no JSON, or names a field twice, is refused with the file's name", () => {
    expect(errorOf(() => parsePlan("{", "mine.json")).message).toMatch(/^mine\.json is not JSON/);
    const commented = errorOf(() => parsePlan("// mine\n{}", "mine.json"));
    expect(commented.message).not.toContain("\n");
    expect(commented.hint).toContain("no comments");
    expect(errorOf(() => parsePlan(" ", "mine.json")).message).toBe("mine.json is empty");
    for (const other of ["[]", "null", "3"]) {
      expect(errorOf(() => parsePlan(other, "mine.json")).message).toMatch(/^mine\.json is not a plan/);
    }
    const twice = errorOf(() => parsePlan('{"version": 1, "version": 1}', "mine.json"));
    expect(twice.data).toMatchObject({ message: "mine.json: version is there twice", field: "version" });
  });
});

it("a placement says how many trainers and engines there are", () => {
  const separate = { kind: "separate", gpusPerNode: 8, zeroStage: 3 } as const;
  const placement = { ...separate, trainerGpus: 8, engineGpus: 4, tensorParallel: 2, engineTensorParallel: 4 };
  expect(layoutOf(placement)).toEqual({ trainerGpus: 8, engineGpus: 4, trainers: 4, engines: 1 });
});

describe("a plan as one line of text", () => {
  const anyPlan = fc
    .record({
      name: fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }),
      batch: fc.integer({ min: 1, max: 4096 }),
      reference: fc.constantFrom("resident", "host", "disk"),
    })
    .map(({ name, batch, reference }) =>
      planWith({ name: name.slice(0, 200), workload: { batch }, strategies: { reference } }),
    );

  it("comes back as it was, whatever is in its name", () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const line = planToLine(plan);
        expect(line).toMatch(/^[\w.-]+$/);
        expect(planFromLine(line)).toEqual(plan);
      }),
      { numRuns: 100 },
    );
  });

  it("is what another program would make of its description", () => {
    const plan = planWith({ name: "größer" });
    const json = Buffer.from(JSON.stringify(plan));
    const sum = crc32(json).toString(16).padStart(8, "0");
    expect(planToLine(plan)).toBe(`tideline-plan-1.${json.toString("base64url")}.${sum}`);
  });

  it("survives line breaks and quoting spaces", () => {
    const line = planToLine(planWith());
    expect(planFromLine(`  ${line.slice(0, 70)}\r\n ${line.slice(70)}\n`)).toEqual(planWith());
  });

  it("that lost or changed any one character is refused", () => {
    const line = planToLine(planWith());
    const start = "tideline-plan-1.".length;
    fc.assert(
      fc.property(
        fc.integer({ min: start, max: line.length - 1 }),
        fc.constantFrom("", "A", "b", "-", "é"),
        (at, by) => {
          fc.pre(line[at] !== by && line[at] !== ".");
          const error = errorOf(() => planFromLine(line.slice(0, at) + by + line.slice(at + 1)));
          expect(error.code).toBe("plan_damaged");
        },
      ),
      { numRuns: 300 },
    );
    expect(errorOf(() => planFromLine(line.slice(0, -40))).code).toBe("plan_damaged");
    expect(errorOf(() => planFromLine(line.slice(0, 300))).code).toBe("plan_damaged");
  });

  it.each(["a", "ab", "abc"])(
    "is refused with another last character too, which may have bits to spare (%s)",
    (name) => {
      const line = planToLine(planWith({ name }));
      const last = line.lastIndexOf(".") - 1;
      for (const other of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
        if (other === line[last]) continue;
        const changed = line.slice(0, last) + other + line.slice(last + 1);
        expect(errorOf(() => planFromLine(changed)).code).toBe("plan_damaged");
      }
    },
  );

  it.each([
    ["", /no plan/],
    ["https://example.com", /no plan/],
    ["tideline-plan-2.e30.a3b2c1d0", /of version 2, this Tideline reads version 1/],
  ])("%j is no line of this version", (line, message) => {
    const error = errorOf(() => planFromLine(line));
    expect(error.code).toBe("plan_invalid");
    expect(error.message).toMatch(message);
    expect(error.hint).toBeDefined();
  });

  it("whole, but with a field that is wrong, says the field", () => {
    const json = Buffer.from(JSON.stringify(merged(SMALLEST, { workload: { batch: -1 } })));
    const line = `tideline-plan-1.${json.toString("base64url")}.${crc32(json).toString(16).padStart(8, "0")}`;
    expect(errorOf(() => planFromLine(line)).data).toMatchObject({ code: "plan_invalid", field: "workload.batch" });
  });
});

it("is plain data", () => {
  expectTypeOf<Plan["strategies"]["swap"]["method"]>().toEqualTypeOf<"bucketed" | "copy" | "share">();
  expect(structuredClone(planWith())).toEqual(planWith());
});

describe("what cannot be counted", () => {
  const most = (workload: Record<string, unknown>) => errorOf(() => resolvePlan(planWith({ workload })).plan);

  it("is refused at the field, with what would be taken", () => {
    const error = most({ batch: 2 ** 20, microBatch: 2 ** 20, responseTokens: 16_384, attention: "eager" });
    expect(error.data).toMatchObject({ code: "plan_invalid", field: "workload.microBatch" });
    const range = /from 1 to (\d+)/.exec(error.message)?.[1];
    const microBatch = Number(range);
    const { workload } = resolvePlan(
      planWith({ workload: { batch: 2 ** 15, microBatch, responseTokens: 16_384, attention: "eager" } }),
    ).plan;
    expect(workload.microBatch).toBe(microBatch);
  });
});
