/** What holds for the exports of all launchers. */
import { expect, it } from "vitest";
import { commandText } from "../../../../../core/planner/export/command.ts";
import { exportPlan } from "../../../../../core/planner/export/export.ts";
import { parseTarget } from "../../../../../core/planner/export/target.ts";
import { planWith } from "../../plans.ts";
import { FIGURES } from "../figures.ts";
import { apart, COLOCATED } from "./support.ts";

it("every export says how its memory fraction was computed, and every gap why and what is nearest", () => {
  for (const launcher of ["sglang", "vllm", "openrlhf", "verl", "trl", "slime"]) {
    for (const plan of [
      COLOCATED,
      apart(),
      planWith({ strategies: { swap: { method: "share" }, reference: "disk" } }),
    ]) {
      const { notes, unexpressed } = exportPlan(plan, FIGURES, parseTarget(launcher));
      expect(notes[0]).toMatch(/fraction is of/);
      for (const gap of unexpressed) expect(Object.values(gap).every((words) => words.length > 0)).toBe(true);
      expect(new Set(unexpressed.map(({ what }) => what)).size).toBe(unexpressed.length);
    }
  }
});

it.each(["openrlhf@0.11", "openrlhf@0.8", "verl", "trl", "slime"])(
  "%s says where a step's rollouts are no whole micro-batches of every trainer",
  (target) => {
    const gapsOf = (batch: number) => {
      const plan = planWith({ workload: { batch, microBatch: 4 }, placement: { gpus: 4 } });
      return exportPlan(plan, FIGURES, parseTarget(target)).unexpressed.map(({ what }) => what);
    };
    expect(gapsOf(48)).not.toContain("48 rollouts a step");
    expect(gapsOf(40)).toContain("40 rollouts a step");
  },
);

const TARGETS = ["sglang", "vllm", "openrlhf@0.11", "openrlhf@0.8", "verl", "trl", "slime"];

it.each(TARGETS)("%s is given repositories, not names of the catalogue", (target) => {
  const { commands, notes } = exportPlan(planFor("Llama-2-7B"), FIGURES, parseTarget(target));
  const text = commands.map(commandText).join("\n");
  expect(text).toContain("meta-llama/Llama-2-7b-hf");
  expect(text).not.toContain("Llama-2-7B");
  expect(notes.join("\n")).not.toContain("repository");
});

it.each(TARGETS)(
  "%s keeps the name of a model that came as a config.json, and says that a path is needed",
  (target) => {
    const config = {
      model_type: "llama",
      hidden_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      vocab_size: 256,
    };
    const plan = planFor({ name: "mine", config: { ...config, intermediate_size: 128 } });
    const { commands, notes } = exportPlan(plan, FIGURES, parseTarget(target));
    expect(commands.map(commandText).join("\n")).toMatch(/\bmine\b/);
    expect(notes).toContain("Put the path or the Hugging Face repository of mine where its name stands.");
  },
);

function planFor(model: unknown) {
  const role = { model };
  return planWith({ workload: { policy: role, critic: role, reference: role } });
}
