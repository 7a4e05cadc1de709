/**
 * The best plan: of all schedules that the strategies can make, the one that takes the fewest seconds per PPO step and
 * whose peak leaves a margin. Exact: memory and seconds are sums over groups of strategies (groups.ts), so every
 * combination is looked at, as a sum of curves.
 */
import { TidelineError } from "../../errors.ts";
import { NO_STRATEGIES, type StrategySet } from "../../schedule/strategies.ts";
import { footprintOf } from "../memory/plan-footprint.ts";
import { contradictionsOf, type Plan } from "../plan.ts";
import { gpuKinds } from "../predict/gpu-kinds.ts";
import { sizesOf } from "../predict/occupancy.ts";
import { predict, scheduleOf } from "../predict/predict.ts";
import type { Prediction } from "../predict/prediction.ts";
import { type TransitionSeconds, transitionSecondsOf } from "../predict/transition-seconds.ts";
import { marginBytesOf } from "../predict/verdict.ts";
import { workSecondsOf } from "../predict/work-seconds.ts";
import { sumOf } from "../provenance.ts";
import { type ResolvedPlan, resolvePlan, rolesOfPlan } from "../resolve.ts";
import { cheapest, isAnyWithin, lowest, worthwhile } from "./combinations.ts";
import { bytesOf, type CurveContext, curveOf, type Playables, playable } from "./curves.ts";
import { type Choice, choicesOf, GROUPS, leanestOf, ofGroups, type SwitchableStrategy } from "./groups.ts";
import { isTrainingAbove, leastPeakBytes } from "./least.ts";
import { type AllowedPrecisions, variantsOf } from "./variants.ts";

export interface Allowed {
  /** Strategies that may be switched; left out, all of them. The others stay as the plan has them. */
  readonly strategies?: readonly SwitchableStrategy[];
  /** Precisions that may be chosen beside the plan's own. */
  readonly precisions?: AllowedPrecisions;
  /** One policy copy where policy and engine differ in precision: the lowest bits are lost. */
  readonly cast?: boolean;
}

export type Best =
  | { readonly kind: "found"; readonly prediction: Prediction; readonly schedules: number }
  /** Nothing fits; this takes least. */
  | { readonly kind: "none"; readonly least: Prediction; readonly schedules: number };

/**
 * The best of all plans that differ from this one in what is allowed.
 * @throws TidelineError `plan_invalid` as `predict`.
 */
export function planBest(plan: Plan, allowed: Allowed = {}): Best {
  const { fits, plan: best, schedules } = searchPlans(plan, allowed);
  const prediction = predict(best);
  return fits ? { kind: "found", prediction, schedules } : { kind: "none", least: prediction, schedules };
}

/** A plan with what it costs and takes. */
export interface Searched {
  /** The cheapest that fits, or where nothing does the one with the lowest peak. */
  readonly plan: Plan;
  readonly fits: boolean;
  readonly seconds: number;
  readonly peakBytes: number;
  /** How many schedules were compared. */
  readonly schedules: number;
}

/** @throws TidelineError `plan_invalid` as `predict`. */
export function searchPlans(plan: Plan, allowed: Allowed = {}): Searched {
  const { all } = playedFor(plan, allowed);
  const searched = variantsOf(plan, allowed.precisions ?? {}).map((variant) => searchStrategies(variant, all));
  const best = searched.reduce((most, one) => (isBetter(one, most) ? one : most));
  return { ...best, schedules: searched.reduce((sum, { schedules }) => sum + schedules, 0) };
}

/** The best of several plans; undefined of none. */
export function bestOf(plans: readonly Plan[], allowed: Allowed): Searched | undefined {
  return plans
    .map((plan) => searchPlans(plan, allowed))
    .reduce<Searched | undefined>((most, one) => (most === undefined || isBetter(one, most) ? one : most), undefined);
}

/**
 * Whether some schedule fits, in a fraction of the time that it takes to find the best.
 * @throws TidelineError `plan_invalid` as `predict`.
 */
export function canFit(plan: Plan, allowed: Allowed): boolean {
  const { lean } = playedFor(plan, allowed);
  return variantsOf(plan, allowed.precisions ?? {}).some((variant) => {
    const resolved = resolvePlan(variant);
    const budgetBytes = budgetOf(resolved);
    if (isTrainingAbove(resolved, budgetBytes)) return false;
    const context = contextOf(resolved, lean);
    if (leastPeakBytes(context.sizes, context.kinds, variant.strategies) > budgetBytes) return false;
    const { choices } = lean;
    return isAnyWithin(
      GROUPS.map((group) => choices[group].map((one) => bytesOf(one, context))),
      budgetBytes,
    );
  });
}

function isBetter(one: Searched, other: Searched): boolean {
  if (one.fits !== other.fits) return one.fits;
  return one.fits ? one.seconds < other.seconds : one.peakBytes < other.peakBytes;
}

/** The choices that a plan has, and of them those that matter to whether anything fits. */
interface Played {
  readonly all: Playables;
  readonly lean: Playables;
}

/** Where memory is depends on strategies alone: plans that differ in sizes share what is played. */
const played = new Map<string, Played>();
const MOST_PLAYED = 64;

function playedFor(plan: Plan, { strategies, cast = false }: Allowed): Played {
  const roles = rolesOfPlan(plan);
  // All that a choice can contradict of the placement.
  const canShare = isPossible(plan, { swap: { method: "share" } });
  const key = JSON.stringify([roles, plan.placement.kind, canShare, plan.strategies, strategies, cast]);
  const known = played.get(key);
  if (known !== undefined) return known;
  const may = (strategy: SwitchableStrategy) => strategies?.includes(strategy) ?? true;
  const all = playable(
    ofGroups((group) => choicesOf(group, plan, { may, cast }).filter((choice) => isPossible(plan, choice))),
    BASE,
    roles,
  );
  const lean = ofGroups((group) => {
    const leanest = leanestOf(all.choices[group].map(({ choice }) => choice));
    return all.choices[group].filter(({ choice }) => leanest.includes(choice));
  });
  if (played.size >= MOST_PLAYED) played.clear();
  const found = { all, lean: { ...all, choices: lean } };
  played.set(key, found);
  return found;
}

function isPossible(plan: Plan, choice: Choice): boolean {
  return contradictionsOf({ ...plan, strategies: { ...BASE, ...choice } }).length === 0;
}

/** Beside a choice that is looked at: nothing that any choice contradicts. */
const BASE: StrategySet = { ...NO_STRATEGIES, swap: { method: "copy" } };

/** For the peak. */
function budgetOf(resolved: ResolvedPlan): number {
  return resolved.gpu.totalBytes.value - marginBytesOf(resolved);
}

/** What the schedules of one plan are made of. */
function contextOf(resolved: ResolvedPlan, { places }: Playables): CurveContext {
  const footprint = footprintOf(resolved);
  const kinds = gpuKinds(resolved.plan.placement).map(({ groups }) => groups);
  return { footprint, sizes: sizesOf(footprint), kinds, places };
}

function curvesOf(
  { choices, moves }: Playables,
  context: CurveContext,
  transitions: TransitionSeconds,
  worksWith: (choice: Choice) => number,
) {
  const secondsOf = new Map(moves.map((move) => [move, transitions(move.action, move.before)]));
  return GROUPS.map((group) =>
    worthwhile(
      choices[group].map((one) => {
        const curve = curveOf(one, context, secondsOf);
        // Of all choices, only where optimizers are makes the works themselves longer.
        return group === "optimizer" ? { ...curve, seconds: curve.seconds + worksWith(one.choice) } : curve;
      }),
    ),
  );
}

function searchStrategies(plan: Plan, playables: Playables): Searched {
  const resolved = resolvePlan(plan);
  const context = contextOf(resolved, playables);
  const worksWith = (choice: Choice) => {
    const chosen = { ...resolved, plan: { ...plan, strategies: { ...plan.strategies, ...choice } } };
    return sumOf(Object.values(workSecondsOf(chosen, context.footprint)));
  };
  const curves = curvesOf(playables, context, transitionSecondsOf(resolved, context.sizes), worksWith);
  const fitting = cheapest(curves, budgetOf(resolved));
  const best = fitting ?? lowest(curves);
  if (best === undefined) {
    // What may not be switched contradicts itself.
    scheduleOf(plan);
    throw new TidelineError({ code: "internal", message: "a plan has no schedule" });
  }
  return {
    plan: { ...plan, strategies: Object.assign({}, plan.strategies, ...best.choices) },
    fits: fitting !== undefined,
    seconds: best.seconds,
    peakBytes: best.peakBytes,
    schedules: GROUPS.reduce((product, group) => product * playables.choices[group].length, 1),
  };
}
