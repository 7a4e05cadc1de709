/**
 * What would make a plan fit: for every kind of edit the smallest step with which some schedule fits, and where one edit is
 * not enough, as few as possible together. Ranked by what they do to training, then by seconds.
 */

import { toErrorData } from "../../errors.ts";
import { contradictionsOf, type Plan } from "../plan.ts";
import { predict } from "../predict/predict.ts";
import type { Prediction } from "../predict/prediction.ts";
import { type Allowed, type Searched, searchPlans } from "./best.ts";
import { type Edit, type EditStep, EFFECTS, type Effect, editsOf } from "./edits.ts";

export interface FittingChange {
  /** What changes beside the strategies. */
  readonly edits: readonly { readonly field: string; readonly label: string }[];
  /** The largest effect of them. */
  readonly effect: Effect;
  /** The best schedule with them. */
  readonly prediction: Prediction;
}

interface Found {
  readonly edits: readonly ChosenEdit[];
  readonly searched: Searched;
}

interface ChosenEdit {
  readonly edit: Edit;
  readonly step: EditStep;
}

/**
 * Changes with which the plan fits, the smallest first; nothing where no change is known that would do.
 * @throws TidelineError `plan_invalid` as `predict`.
 */
export function changesThatFit(plan: Plan, allowed: Allowed = {}): readonly FittingChange[] {
  const edits = editsOf(plan);
  const single = edits.flatMap((edit) => smallestStep(plan, [], edit, allowed) ?? []);
  const found = single.length > 0 ? single : together(plan, edits, allowed);
  return found
    .toSorted((one, other) => rankOf(one) - rankOf(other) || one.searched.seconds - other.searched.seconds)
    .map(({ edits: chosen, searched }) => ({
      edits: chosen.map(({ edit: { field }, step: { label } }) => ({ field, label })),
      effect: effectOf(chosen),
      prediction: predict(searched.plan),
    }));
}

/** Everything that only costs time, at its largest; then each other edit beside it. What turns out not to be needed goes. */
function together(plan: Plan, edits: readonly Edit[], allowed: Allowed): readonly Found[] {
  const harmless = edits.filter(({ effect }) => effect === "speed").flatMap(largestStep);
  const alone = reduced(plan, harmless, allowed);
  if (alone !== undefined) return [alone];
  return edits
    .filter(({ effect }) => effect !== "speed")
    .flatMap((edit) => {
      const found = smallestStep(plan, harmless, edit, allowed);
      return found === undefined ? [] : (reduced(plan, found.edits, allowed) ?? found);
    });
}

function largestStep(edit: Edit): readonly ChosenEdit[] {
  const step = edit.steps.at(-1);
  return step === undefined ? [] : [{ edit, step }];
}

/** The first step that fits. Steps grow, so it is found by halving. */
function smallestStep(plan: Plan, before: readonly ChosenEdit[], edit: Edit, allowed: Allowed): Found | undefined {
  const attempt = (index: number): Found | undefined => {
    const step = edit.steps[index];
    return step && attempted(plan, [...before, { edit, step }], allowed);
  };
  let [low, high] = [0, edit.steps.length - 1];
  let found = attempt(high);
  if (found === undefined) return undefined;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const fitting = attempt(middle);
    if (fitting === undefined) low = middle + 1;
    else [found, high] = [fitting, middle];
  }
  return found;
}

/** Without the edits that are not needed, those with the largest effect taken out first; undefined where all are too few. */
function reduced(plan: Plan, edits: readonly ChosenEdit[], allowed: Allowed): Found | undefined {
  let found = attempted(plan, edits, allowed);
  for (const chosen of edits.toReversed()) {
    if (found === undefined) return undefined;
    const without = found.edits.filter((one) => one !== chosen);
    found = attempted(plan, without, allowed) ?? found;
  }
  return found;
}

function attempted(plan: Plan, edits: readonly ChosenEdit[], allowed: Allowed): Found | undefined {
  const edited = edits.reduce((changed, { step }) => step.apply(changed), plan);
  if (contradictionsOf(edited).length > 0) return undefined;
  try {
    const searched = searchPlans(edited, allowed);
    return searched.fits ? { edits, searched } : undefined;
  } catch (error) {
    // A count of GPUs, or a TP, that these models do not take.
    if (toErrorData(error).code === "plan_invalid") return undefined;
    throw error;
  }
}

function effectOf(edits: readonly ChosenEdit[]): Effect {
  const worst = Math.max(0, ...edits.map(({ edit: { effect } }) => EFFECTS.indexOf(effect)));
  return EFFECTS[worst] ?? "hardware";
}

function rankOf({ edits }: Found): number {
  return EFFECTS.indexOf(effectOf(edits));
}
