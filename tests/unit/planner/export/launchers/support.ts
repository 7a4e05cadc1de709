/** The plans that every launcher is tried on, and what its export says of one. */
import { commandText } from "../../../../../core/planner/export/command.ts";
import { exportPlan } from "../../../../../core/planner/export/export.ts";
import { parseTarget } from "../../../../../core/planner/export/target.ts";
import type { Plan } from "../../../../../core/planner/plan.ts";
import { planFrom } from "../../../../../core/planner/plan-file.ts";
import { merged, planWith, SMALLEST } from "../../plans.ts";
import { FIGURES } from "../figures.ts";

/** What most launchers do by themselves: mixed precision, and whatever can sleep or be offloaded asleep or offloaded. */
export const USUAL = {
  workload: {
    policy: { masterWeights: true, gradientCheckpointing: true },
    critic: { masterWeights: true, gradientCheckpointing: true },
    reward: { model: "me/reward-7B" },
    microBatch: 4,
    packing: true,
  },
  placement: { gpus: 4, zeroStage: 3, engineTensorParallel: 2 },
  strategies: {
    releaseKvCache: true,
    releaseEngineWeights: true,
    reference: "host",
    reward: "host",
    trainingMemoryOnlyWhileTraining: true,
    optimizerOnHost: true,
  },
};

export const COLOCATED = planWith(USUAL);

export function apart(workload: Record<string, unknown> = {}): Plan {
  const placement = { kind: "separate", trainerGpus: 4, engineGpus: 4, zeroStage: 2, engineTensorParallel: 2 };
  return planFrom({ ...merged(SMALLEST, { workload: { microBatch: 4, ...workload } }), placement }, "the plan");
}

export function textOf(target: string, plan: Plan = COLOCATED): string {
  return exportPlan(plan, FIGURES, parseTarget(target)).commands.map(commandText).join("\n\n");
}

export function gapsOf(target: string, plan: Plan): string[] {
  return exportPlan(plan, FIGURES, parseTarget(target)).unexpressed.map(({ what }) => what);
}

/** The flags of a text, each with its value. */
export function flagsOf(text: string): string[] {
  return text.split(" \\\n  ").slice(1);
}

export function notesOf(target: string, plan: Plan): string {
  return exportPlan(plan, FIGURES, parseTarget(target)).notes.join("\n");
}
