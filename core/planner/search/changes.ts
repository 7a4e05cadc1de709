/**
 * What would make a plan fit: for every kind of edit the smallest step with which some schedule fits; where no edit of the
 * plan's own GPUs is enough, two together, and where no two are, as few as are found. Edits only ever take memory away, so
 * what does not fit with the largest steps fits with no smaller ones: that rules out most of what there is, and makes it exact
 * whether anything fits at all.
 */

import type { Plan } from "../plan.ts";
import { predict } from "../predict/predict.ts";
import type { Prediction } from "../predict/prediction.ts";
import { gpuCount } from "../resolve.ts";
import { Attempts, type ChosenEdit, type Found, keyOf, largest } from "./attempts.ts";
import type { Allowed } from "./best.ts";
import { type Edit, EFFECTS, type Effect } from "./edit.ts";
import { editsOf } from "./edits.ts";
import { mostGpusTried } from "./placement-edits.ts";

export interface FittingChange {
  /** What changes beside the strategies. */
  readonly edits: readonly { readonly field: string; readonly label: string }[];
  /** The largest effect of them. */
  readonly effect: Effect;
  /** The best schedule with them. */
  readonly prediction: Prediction;
}

/**
 * Changes with which the plan fits, the smallest first: by what they do to training, then by how many GPUs there are, how
 * many edits and how many seconds. None where nothing that is known would do, with as many GPUs as `mostGpusTried`.
 * @throws TidelineError `plan_invalid` as `predict`.
 */
export function changesThatFit(plan: Plan, allowed: Allowed = {}): readonly FittingChange[] {
  const attempts = new Attempts(plan, allowed);
  const edits = editsOf(plan).toSorted((one, other) => EFFECTS.indexOf(one.effect) - EFFECTS.indexOf(other.effect));
  const own = edits.filter(({ effect }) => effect !== "hardware");
  const hardware = edits.filter(({ effect }) => effect === "hardware");
  const onOwnGpus = changesOfOwn(attempts, own);
  const chosen = [...onOwnGpus, ...changesOfHardware(attempts, own, hardware, onOwnGpus.some(isSingle))];
  const once = new Map(chosen.map((one) => [keyOf(one), one]));
  return worthwhile([...once.values()].flatMap((one) => attempts.found(one) ?? []))
    .toSorted(byLeastChange)
    .map(({ edits: made, searched }) => ({
      edits: made.map(({ edit, index }) => ({
        field: edit.field,
        label: edit.steps[index]?.label(searched.plan) ?? "",
      })),
      effect: effectOf(made),
      prediction: predict(searched.plan),
    }));
}

/** What to say where no change keeps the card: how many of its kind were tried. Undefined where one does. */
export function nothingOnThisCard(plan: Plan, changes: readonly FittingChange[]): string | undefined {
  if (changes.some(({ edits }) => edits.every(({ field }) => field !== "gpu.name"))) return undefined;
  const most = mostGpusTried(plan);
  const cards = most === 1 ? plan.gpu.name : `up to ${most} ${plan.gpu.name}`;
  return `No change that is known would make it fit on ${cards}.`;
}

type Chosen = readonly ChosenEdit[];

/** Without other cards. */
function changesOfOwn(attempts: Attempts, own: readonly Edit[]): readonly Chosen[] {
  if (!attempts.fits(own.map(largest))) return [];
  const single = singles(attempts, own);
  if (single.length > 0) return single;
  const harmless = own.filter(isHarmless);
  const pairs = pairsOf(own).flatMap((pair) => {
    // With everything that only costs time beside it, which is tried once for many pairs.
    const most = [...harmless, ...pair.filter((edit) => !isHarmless(edit))];
    return attempts.fits(most.map(largest)) ? listed(attempts.smallest(pair)) : [];
  });
  if (pairs.length > 0) return pairs;
  const beside = own
    .filter((edit) => !isHarmless(edit))
    .flatMap((edit) => listed(attempts.needed([...harmless, edit])));
  return beside.length > 0 ? beside : listed(attempts.needed(own));
}

/** With other or more cards; where that needs fewer of them, also with edits of the plan's own beside them. */
function changesOfHardware(
  attempts: Attempts,
  own: readonly Edit[],
  hardware: readonly Edit[],
  hasSingle: boolean,
): readonly Chosen[] {
  const single = singles(attempts, hardware);
  if (hasSingle) return single;
  const beside = hardware.flatMap((edit) => {
    const alone = single.find(([chosen]) => chosen?.edit === edit)?.[0];
    const fewer = alone === undefined ? edit : { ...edit, steps: edit.steps.slice(0, alone.index) };
    if (fewer.steps.length === 0) return [];
    const least = attempts.needed([...own, fewer]);
    if (least === undefined) return [];
    const pairs = own.flatMap((other) => listed(attempts.smallest([other, fewer])));
    const found = [least, ...listed(attempts.needed([...own.filter(isHarmless), fewer])), ...pairs];
    // Without other cards it is among the plan's own changes.
    return found.filter((chosen) => chosen.some((one) => one.edit === fewer));
  });
  const found = [...single, ...beside];
  return found.length > 0 ? found : listed(attempts.needed([...own, ...hardware]));
}

/** Each edit that is enough by itself. */
function singles(attempts: Attempts, edits: readonly Edit[]): readonly Chosen[] {
  return edits.flatMap((edit) => listed(attempts.smallest([edit])));
}

function isHarmless({ effect }: Edit): boolean {
  return effect === "speed";
}

function listed(chosen: Chosen | undefined): readonly Chosen[] {
  return chosen === undefined ? [] : [chosen];
}

function isSingle(chosen: Chosen): boolean {
  return chosen.length === 1;
}

/** Each with each of those after it. */
function pairsOf(edits: readonly Edit[]): readonly (readonly [Edit, Edit])[] {
  return edits.flatMap((one, index) => edits.slice(index + 1).map((other) => [one, other] as const));
}

// ---------------------------------------------------------------------------------------------------------------------
// Ranking

/** Without those that need as many GPUs of other hardware as another one and do more to training. */
function worthwhile(found: readonly Found[]): readonly Found[] {
  return found.filter((one) => !found.some((other) => isBelow(other, one)));
}

function isBelow(one: Found, other: Found): boolean {
  if (hardwareOf(one) === "" || hardwareOf(one) !== hardwareOf(other)) return false;
  const [oneGpus, otherGpus] = [gpuCount(one.searched.plan), gpuCount(other.searched.plan)];
  const [oneEffect, otherEffect] = [ownEffect(one), ownEffect(other)];
  return oneGpus <= otherGpus && oneEffect <= otherEffect && (oneGpus < otherGpus || oneEffect < otherEffect);
}

/** Which fields of the hardware are other. */
function hardwareOf({ edits }: Found): string {
  return edits
    .filter(({ edit }) => edit.effect === "hardware")
    .map(({ edit }) => edit.field)
    .join();
}

/** What is done beside other cards; -1: nothing. */
function ownEffect({ edits }: Found): number {
  const own = edits.filter(({ edit }) => edit.effect !== "hardware");
  return Math.max(-1, ...own.map(({ edit }) => EFFECTS.indexOf(edit.effect)));
}

function byLeastChange(one: Found, other: Found): number {
  const [ranks, others] = [ranksOf(one), ranksOf(other)];
  const index = ranks.findIndex((rank, place) => rank !== others[place]);
  return index < 0 ? 0 : (ranks[index] ?? 0) - (others[index] ?? 0);
}

function ranksOf({ edits, searched }: Found): readonly number[] {
  return [EFFECTS.indexOf(effectOf(edits)), gpuCount(searched.plan), edits.length, searched.seconds];
}

function effectOf(edits: readonly ChosenEdit[]): Effect {
  const worst = Math.max(0, ...edits.map(({ edit: { effect } }) => EFFECTS.indexOf(effect)));
  return EFFECTS[worst] ?? "hardware";
}
