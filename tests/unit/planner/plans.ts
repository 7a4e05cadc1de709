/** Plans that tests start from. */

import type { Plan } from "../../../core/planner/plan.ts";
import { planFrom } from "../../../core/planner/plan-file.ts";

/** The little that has to be said: a 7B PPO on one GPU, everything resident. */
export const SMALLEST = {
  version: 1,
  name: "7B on one H100",
  workload: {
    policy: { model: "Qwen/Qwen2.5-7B" },
    critic: { model: "Qwen/Qwen2.5-7B" },
    reference: { model: "Qwen/Qwen2.5-7B" },
    reward: "rule",
    batch: 64,
    promptTokens: 512,
    responseTokens: 1024,
  },
  placement: { kind: "colocated", gpus: 1 },
  gpu: { name: "H100 SXM" },
} as const;

type Fields = { readonly [key: string]: unknown };

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `changes` over `base`, field by field. */
export function merged(base: Fields, changes: Fields): Fields {
  const result: Record<string, unknown> = { ...base };
  for (const [key, change] of Object.entries(changes)) {
    const before = result[key];
    result[key] = isFields(before) && isFields(change) ? merged(before, change) : change;
  }
  return result;
}

export function planWith(changes: Fields = {}): Plan {
  return planFrom(merged(SMALLEST, changes), "the plan");
}
