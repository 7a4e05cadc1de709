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
import { predict } from "../predict/predict.ts";
import type { Prediction } from "../predict/prediction.ts";
import { transitionSecondsOf } from "../predict/transition-seconds.ts";
import { marginBytesOf } from "../predict/verdict.ts";
import { workSecondsOf } from "../predict/work-seconds.ts";
import { resolvePlan, rolesOfPlan } from "../resolve.ts";
import { cheapest, lowest, worthwhile } from "./combinations.ts";
import { curveOf, type Playables, playable } from "./curves.ts";
import { type Choice, choicesOf, GROUPS, type Group, type SwitchableStrategy } from "./groups.ts";
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
  const playables = playablesOf(plan, allowed);
  const searched = variantsOf(plan, allowed.precisions ?? {}).map((variant) => searchStrategies(variant, playables));
  const best = searched.reduce((most, one) => (isBetter(one, most) ? one : most));
  return { ...best, schedules: searched.reduce((sum, { schedules }) => sum + schedules, 0) };
}

function isBetter(one: Searched, other: Searched): boolean {
  if (one.fits !== other.fits) return one.fits;
  return one.fits ? one.seconds < other.seconds : one.peakBytes < other.peakBytes;
}

/** Where memory is depends on strategies alone: plans that differ in sizes share what is played. */
const played = new Map<string, Playables>();
const MOST_PLAYED = 64;

function playablesOf(plan: Plan, { strategies, cast = false }: Allowed): Playables {
  const may = (strategy: SwitchableStrategy) => strategies?.includes(strategy) ?? true;
  const candidates = (group: Group) =>
    choicesOf(group, plan, { may, cast }).filter((choice) => isPossible(plan, choice));
  const all = {
    engine: candidates("engine"),
    training: candidates("training"),
    reference: candidates("reference"),
    reward: candidates("reward"),
    optimizer: candidates("optimizer"),
  };
  const roles = rolesOfPlan(plan);
  const key = JSON.stringify([all, roles]);
  const known = played.get(key);
  if (known !== undefined) return known;
  if (played.size >= MOST_PLAYED) played.clear();
  const playables = playable(all, BASE, roles);
  played.set(key, playables);
  return playables;
}

function isPossible(plan: Plan, choice: Choice): boolean {
  return contradictionsOf({ ...plan, strategies: { ...BASE, ...choice } }).length === 0;
}

/** Beside a choice that is looked at: nothing that any choice contradicts. */
const BASE: StrategySet = { ...NO_STRATEGIES, swap: { method: "copy" } };

function searchStrategies(plan: Plan, playables: Playables): Searched {
  const resolved = resolvePlan(plan);
  const footprint = footprintOf(resolved);
  const sizes = sizesOf(footprint);
  const context = {
    footprint,
    sizes,
    kinds: gpuKinds(plan.placement).map(({ groups }) => groups),
    transitions: transitionSecondsOf(resolved, sizes),
    places: playables.places,
  };
  const curves = GROUPS.map((group) => worthwhile(playables.choices[group].map((one) => curveOf(one, context))));
  const fitting = cheapest(curves, resolved.gpu.totalBytes.value - marginBytesOf(resolved));
  const best = fitting ?? lowest(curves);
  if (best === undefined) throw new TidelineError({ code: "internal", message: "a plan has no schedule" });
  const works = Object.values(workSecondsOf(resolved, footprint)).reduce((sum, { amount }) => sum + amount, 0);
  return {
    plan: { ...plan, strategies: Object.assign({}, plan.strategies, ...best.choices) },
    fits: fitting !== undefined,
    seconds: works + best.seconds,
    peakBytes: best.peakBytes,
    schedules: GROUPS.reduce((product, group) => product * playables.choices[group].length, 1),
  };
}
