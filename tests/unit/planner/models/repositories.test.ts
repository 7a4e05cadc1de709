/** Names as launchers take them: repository ids of the Hugging Face hub, written out by hand where they differ from ours. */
import { expect, test } from "vitest";
import { catalogueName, MODEL_NAMES, modelNamed, repositoryOf } from "../../../../core/planner/models/catalogue.ts";

test.each([
  ["Qwen2.5-7B", "Qwen/Qwen2.5-7B"],
  ["qwen2.5-7b", "Qwen/Qwen2.5-7B"],
  ["Llama-2-7B", "meta-llama/Llama-2-7b-hf"],
  ["Llama-3-8B", "meta-llama/Meta-Llama-3-8B"],
  ["Llama-3.3-70B", "meta-llama/Llama-3.3-70B-Instruct"],
  ["Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"],
  ["Mistral-Nemo-12B", "mistralai/Mistral-Nemo-Base-2407"],
  ["gemma-1.1-2b", "google/gemma-1.1-2b-it"],
  ["SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"],
  ["me/reward-7B", "me/reward-7B"],
])("%s is kept at %s", (name, repository) => {
  expect(repositoryOf(name)).toBe(repository);
});

test("another tuning is not passed off as the base model", () => {
  expect(catalogueName("Qwen2.5-7B-Instruct")).toBe("Qwen2.5-7B");
  expect(repositoryOf("Qwen2.5-7B-Instruct")).toBeUndefined();
});

test("every model has one repository of its own, by which it is known too", () => {
  const repositories = MODEL_NAMES.map((name) => repositoryOf(name) ?? "none");
  expect(new Set(repositories).size).toBe(MODEL_NAMES.length);
  for (const [index, repository] of repositories.entries()) {
    expect(repository).toMatch(/^[\w-]+\/[\w.-]+$/);
    expect(modelNamed(repository)).toBe(modelNamed(MODEL_NAMES[index] ?? ""));
  }
});
