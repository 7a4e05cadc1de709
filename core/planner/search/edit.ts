/** An edit: something of a plan that can be changed in steps, the smallest first, with what it does to training. */
import type { Plan } from "../plan.ts";

/** What an edit touches, the least first. */
export const EFFECTS = [
  /** The same numbers, up to rounding; at most it takes longer. */
  "speed",
  /** Some numbers in fewer bits. */
  "precision",
  /** Something else is trained. */
  "training",
  /** Other or more cards. */
  "hardware",
] as const;
export type Effect = (typeof EFFECTS)[number];

export interface Edit {
  /** The field of the plan that changes most. */
  readonly field: string;
  readonly effect: Effect;
  /** From the smallest change to the largest: what is tried until it fits. What fits with a step, fits with those after it. */
  readonly steps: readonly EditStep[];
}

export interface EditStep {
  /** Of what became of the plan: "micro-batch 8 → 2". */
  readonly label: (changed: Plan) => string;
  /** The plans that it may come to: more GPUs can be divided in several ways. */
  readonly apply: (plan: Plan) => readonly Plan[];
}

/** A step that comes to one plan. */
export function step(label: string, apply: (plan: Plan) => Plan): EditStep {
  return { label: () => label, apply: (plan) => [apply(plan)] };
}
