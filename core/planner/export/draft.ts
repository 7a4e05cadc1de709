/** What each launcher's file makes of a plan. */
import { repositoryOf } from "../models/catalogue.ts";
import { modelName, type Plan, type PlannedModel } from "../plan.ts";
import type { Command } from "./command.ts";
import type { PredictedFigures } from "./figures.ts";
import type { Version } from "./target.ts";
import type { Unexpressed } from "./unexpressed.ts";

export interface Draft {
  readonly commands: readonly Command[];
  readonly unexpressed: readonly Unexpressed[];
  /** What to know or do beside the command. */
  readonly notes: readonly string[];
}

export type Writer = (plan: Plan, figures: PredictedFigures, version: Version) => Draft;

/** GPUs as launchers count them. */
export function nodesOf(gpus: number, gpusPerNode: number): { readonly nodes: number; readonly gpusPerNode: number } {
  const perNode = Math.min(gpus, gpusPerNode);
  return { nodes: gpus / perNode, gpusPerNode: perNode };
}

/** What a launcher loads: the repository on the Hugging Face hub, or the model's own name where that is not known. */
export function loadedModel(model: PlannedModel): string {
  return knownRepository(model) ?? modelName(model);
}

/** Names that `loadedModel` could not turn into a repository. */
export function unknownModels({ workload }: Plan): readonly string[] {
  const { policy, critic, reference, reward } = workload;
  const models = [policy, critic, reference, ...(reward === "rule" ? [] : [reward])].map(({ model }) => model);
  return [...new Set(models.filter((model) => knownRepository(model) === undefined).map(modelName))];
}

function knownRepository(model: PlannedModel): string | undefined {
  if (typeof model === "string") return repositoryOf(model);
  // By its config.json: only a name with an organisation can be a repository's.
  return model.name.includes("/") ? model.name : undefined;
}

/** Longest prompt with its response. */
export function sequenceTokens({ workload }: Plan): number {
  return workload.promptTokens + workload.responseTokens;
}

/** "bfloat16": PyTorch's names. */
export const TORCH_DTYPES = { fp32: "float32", bf16: "bfloat16", fp16: "float16" } as const;
