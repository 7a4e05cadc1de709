/**
 * What each choice of each group does to the memory of a step: its consumers' bytes at every place of the schedule, and the
 * seconds of its actions. Places are those of all choices together, so that curves can be added.
 */
import { TidelineError, toErrorData } from "../../errors.ts";
import { buildSchedule } from "../../schedule/build.ts";
import { type Check, checkSchedule } from "../../schedule/check.ts";
import { type Item, type Roles, targetOf } from "../../schedule/schedule.ts";
import type { StrategySet } from "../../schedule/strategies.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../schedule/works.ts";
import { type Footprint, type GpuGroup, groupOf } from "../memory/footprint.ts";
import { consumerBytes, type Occupancy, playStep, type Sizes } from "../predict/occupancy.ts";
import type { TransitionSeconds } from "../predict/transition-seconds.ts";
import type { Curve } from "./combinations.ts";
import { type Choice, GROUPS, type Group, groupOfConsumer } from "./groups.ts";

type Passed = Extract<Check, { ok: true }>;

/** A choice with the step that it makes, whatever the other groups choose. */
export interface PlayableChoice {
  readonly group: Group;
  readonly choice: Choice;
  readonly check: Passed;
  /** Its own items and the works, with their places on the common axis. */
  readonly places: readonly (number | undefined)[];
}

export interface Playables {
  readonly choices: Readonly<Record<Group, readonly PlayableChoice[]>>;
  /** How many places there are. */
  readonly places: number;
}

/** The choices that are schedules; those that contradict themselves are left out. */
export function playable(
  candidates: Readonly<Record<Group, readonly Choice[]>>,
  base: StrategySet,
  roles: Roles,
): Playables {
  const checked = GROUPS.flatMap((group) =>
    candidates[group].flatMap((choice) => {
      const check = checkedSchedule({ ...base, ...choice }, roles);
      return check === undefined ? [] : [{ group, choice, check, keys: check.moments.map(keyOf(group)) }];
    }),
  );
  const keys = [...new Set(checked.flatMap((one) => one.keys.filter((key) => key !== undefined)))].sort(
    (one, other) => one - other,
  );
  const placeOf = new Map(keys.map((key, place) => [key, place]));
  const choices = (group: Group): readonly PlayableChoice[] =>
    checked
      .filter((one) => one.group === group)
      .map(({ keys: own, ...one }) => ({
        ...one,
        places: own.map((key) => (key === undefined ? undefined : placeOf.get(key))),
      }));
  return {
    choices: {
      engine: choices("engine"),
      training: choices("training"),
      reference: choices("reference"),
      reward: choices("reward"),
      optimizer: choices("optimizer"),
    },
    places: keys.length,
  };
}

function checkedSchedule(strategies: StrategySet, roles: Roles): Passed | undefined {
  try {
    const check = checkSchedule(buildSchedule(strategies, roles));
    return check.ok ? check : undefined;
  } catch (error) {
    if (toErrorData(error).code === "bad_argument") return undefined;
    throw error;
  }
}

/** A number that grows along a step: phase, edge, group, and the how-many-th of the group's own actions there. */
function keyOf(group: Group): (moment: { readonly item: Item }) => number | undefined {
  const rank = GROUPS.indexOf(group);
  return ({ item }) => {
    const phase = item.phase * 3;
    if (item.kind === "work") return (phase + 1) * EDGE_KEYS;
    if (groupOfConsumer(targetOf(item.action)) !== group) return undefined;
    if (item.position >= GROUP_KEYS) throw new TidelineError({ code: "internal", message: "an edge of many actions" });
    return (phase + (item.edge === "before" ? 0 : 2)) * EDGE_KEYS + rank * GROUP_KEYS + item.position;
  };
}

const GROUP_KEYS = 64;
const EDGE_KEYS = GROUP_KEYS * GROUPS.length;

export interface CurveContext {
  readonly footprint: Footprint;
  readonly sizes: Sizes;
  /** Of each kind of GPU. */
  readonly kinds: readonly (readonly GpuGroup[])[];
  readonly transitions: TransitionSeconds;
  readonly places: number;
}

/** For each kind of GPU one behind the other. */
export function curveOf({ group, choice, check, places }: PlayableChoice, context: CurveContext): Curve {
  const { footprint, sizes, kinds, transitions } = context;
  const step = playStep(check, footprint, sizes);
  const bytes = new Float64Array(kinds.length * context.places);
  let seconds = 0;
  for (const moment of step.moments) {
    const { item, outcome } = moment;
    if (item.kind === "work" || outcome === "already" || groupOfConsumer(targetOf(item.action)) !== group) continue;
    seconds += transitions(item.action, moment.before);
  }
  for (const [kind, groups] of kinds.entries()) {
    const own = SCHEDULED_CONSUMERS.filter(
      (consumer) => groupOfConsumer(consumer) === group && groups.includes(groupOf(consumer)),
    );
    const fixed = group === "engine" ? groups.reduce((sum, one) => sum + sizes.context[one], 0) : 0;
    const at = kind * context.places;
    let filled = 0;
    let held = fixed + heldBy(sizes, step.start, own);
    for (const [index, { during, after }] of step.moments.entries()) {
      const place = places[index];
      if (place === undefined) continue;
      bytes.fill(held, at + filled, at + place);
      // Buckets lie on every kind of GPU that takes part in a swap.
      bytes[at + place] = fixed + heldBy(sizes, during, own) + during.bucketBytes;
      held = fixed + heldBy(sizes, after, own);
      filled = place + 1;
    }
    bytes.fill(held, at + filled, at + context.places);
  }
  return { choice, bytes, seconds };
}

function heldBy(sizes: Sizes, occupancy: Occupancy, consumers: readonly ScheduledConsumer[]): number {
  let bytes = 0;
  for (const consumer of consumers) bytes += consumerBytes(sizes, occupancy, consumer);
  return bytes;
}
