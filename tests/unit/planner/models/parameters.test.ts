/** Exact parameter counts against what is published (`safetensors.total`, training logs), and against what is on the device. */
import { expect, test } from "vitest";
import { unitsOf } from "../../../../core/planner/memory/pytorch/count.ts";
import { Model } from "../../../../core/planner/memory/pytorch/model.ts";
import { Workspaces } from "../../../../core/planner/memory/pytorch/pass.ts";
import { Tape } from "../../../../core/planner/memory/pytorch/tape.ts";
import { activeParameterCount, parameterCount } from "../../../../core/planner/models/architecture.ts";
import { catalogueName, MODEL_NAMES, modelNamed } from "../../../../core/planner/models/catalogue.ts";

const PUBLISHED = {
  "Qwen2.5-0.5B": 494_032_768,
  "Qwen2.5-1.5B": 1_543_714_304,
  "Qwen2.5-3B": 3_085_938_688,
  "Qwen2.5-7B": 7_615_616_512,
  "Qwen2.5-14B": 14_770_033_664,
  "Qwen2.5-32B": 32_763_876_352,
  "QwQ-32B": 32_763_876_352,
  "Qwen2.5-72B": 72_706_203_648,
  "Qwen3-0.6B": 596_049_920,
  "Qwen3-8B": 8_190_735_360,
  "Qwen3-14B": 14_768_307_200,
  "Qwen3-30B-A3B": 30_532_122_624,
  "Llama-2-7B": 6_738_415_616,
  "Llama-2-70B": 68_976_648_192,
  "Llama-3.1-8B": 8_030_261_248,
  "Llama-3.1-70B": 70_553_706_496,
  "Llama-3.2-1B": 1_235_814_400,
  "Mistral-7B-v0.1": 7_241_732_096,
  "Mistral-7B-v0.3": 7_248_023_552,
  "Mixtral-8x7B": 46_702_792_704,
  "DeepSeek-V2-Lite": 15_706_484_224,
  "gemma-2-9b": 9_241_705_984,
} as const;

test.each(Object.entries(PUBLISHED))("%s has %i weights", (name, count) => {
  expect(parameterCount(modelNamed(name))).toBe(count);
});

test("weights that work on a token", () => {
  expect(activeParameterCount(modelNamed("Qwen3-30B-A3B"))).toBe(3_353_032_704);
  expect(activeParameterCount(modelNamed("Mixtral-8x7B")) / 1e9).toBeCloseTo(12.88, 2);
  expect(activeParameterCount(modelNamed("Llama-3.1-8B"))).toBe(8_030_261_248);
});

test("a critic saves the output projection, unless that is the embedding", () => {
  const saved = (name: string) => parameterCount(modelNamed(name)) - parameterCount(modelNamed(name), "value");
  expect(saved("Qwen2.5-7B")).toBe(152_064 * 3584 - 3584);
  expect(saved("Qwen2.5-0.5B")).toBe(-896);
});

test.each(MODEL_NAMES)("%s: what lies on the device is what was counted", (name) => {
  const architecture = modelNamed(name);
  const tape = new Tape(unitsOf({ sequences: 1, length: 1 }, { multiprocessors: 132, cublasBytes: 2 ** 25 }));
  const storage = { itemBytes: 2, quantisedBytes: undefined, training: { kind: "none" }, tensorParallel: 1 } as const;
  const workspaces = new Workspaces(tape);
  new Model(tape, architecture, 128, { storage, head: "language", checkpointing: false, folded: false }, workspaces);
  const elements = tape.blocks.reduce((sum, { requestedBytes }) => sum + requestedBytes / 2, 0);
  // The bias of DeepSeek-V3's router is no parameter of its own there.
  const routers = architecture.runs.reduce(
    (sum, { count, layer: { feedForward } }) =>
      sum + (feedForward.kind === "experts" && feedForward.routerBias ? count * feedForward.experts : 0),
    0,
  );
  expect(elements).toBe(parameterCount(architecture) - routers);
});

test("a model is found by the names people use", () => {
  for (const name of ["Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b", "Qwen2.5 7B"])
    expect(catalogueName(name)).toBe("Qwen2.5-7B");
  expect(catalogueName("meta-llama/Meta-Llama-3.1-8B")).toBe("Llama-3.1-8B");
  expect(catalogueName("gemma-2-9b-it")).toBe("gemma-2-9b");
  expect(catalogueName("no-such-model")).toBeUndefined();
  expect(() => modelNamed("no-such-model", "workload.policy.model")).toThrow(
    expect.objectContaining({
      data: expect.objectContaining({ code: "bad_argument", field: "workload.policy.model" }),
    }),
  );
});

test("a name is read once", () => {
  expect(modelNamed("Qwen/Qwen3-8B")).toBe(modelNamed("qwen3-8b"));
});
