/** What each launcher's file makes of a plan. */
import type { Plan } from "../plan.ts";
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

/** Longest prompt with its response. */
export function sequenceTokens({ workload }: Plan): number {
  return workload.promptTokens + workload.responseTokens;
}

/** "bfloat16": PyTorch's names. */
export const TORCH_DTYPES = { fp32: "float32", bf16: "bfloat16", fp16: "float16" } as const;
