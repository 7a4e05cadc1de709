/**
 * What each choice of each group does to the memory of a step: its consumers' bytes at every place of the schedule, and the
 * seconds of its actions. Places are those of all choices together, so that curves can be added. Where memory is follows from
 * the strategies alone and is found out once (`playable`); how much it is changes with every size (`curveOf`).
 */
import { TidelineError, toErrorData } from "../../errors.ts";
import { buildSchedule } from "../../schedule/build.ts";
import { type Check, checkSchedule, type Moment } from "../../schedule/check.ts";
import type { MemoryState } from "../../schedule/residency.ts";
import { type Action, type Item, type Roles, targetOf } from "../../schedule/schedule.ts";
import type { StrategySet } from "../../schedule/strategies.ts";
import { type Footprint, type GpuGroup, groupOf, KEPT_CONSUMERS, type KeptConsumer } from "../memory/footprint.ts";
import {
  afterAction,
  bucketBytesOf,
  consumerBytes,
  HELD_BY_NOBODY,
  type PassHoldings,
  playStep,
  type Sizes,
} from "../predict/occupancy.ts";
import type { Curve } from "./combinations.ts";
import { type Choice, GROUPS, type Group, groupOfConsumer, ofGroups } from "./groups.ts";

type Passed = Extract<Check, { ok: true }>;

/** A choice with the step that it makes, whatever the other groups choose. */
export interface PlayableChoice {
  readonly group: Group;
  readonly choice: Choice;
  readonly check: Passed;
  /** The group's own items and the works, with their places on the common axis. */
  readonly stops: readonly Stop[];
  /** The group's moves. */
  readonly moves: readonly { readonly move: Move; readonly place: number }[];
  /** Of the group's consumers that are kept: 1 at places where one is resident. */
  readonly resident: readonly { readonly consumer: KeptConsumer; readonly at: Uint8Array }[];
}

interface Stop {
  readonly moment: Moment;
  readonly before: MemoryState;
  readonly place: number;
}

/** An action that changes something, and the memory before it. One object for all that take the same seconds. */
export interface Move {
  readonly action: Action;
  readonly before: MemoryState;
}

export interface Playables {
  readonly choices: Readonly<Record<Group, readonly PlayableChoice[]>>;
  readonly moves: readonly Move[];
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
  const moves = new Map<string, Move>();
  const choices = (wanted: Group): readonly PlayableChoice[] =>
    checked
      .filter(({ group }) => group === wanted)
      .map(({ keys: keysOf, ...one }) => {
        const stops = one.check.moments.flatMap((moment, index) => {
          const place = placeOf.get(keysOf[index] ?? Number.NaN);
          const before = one.check.moments[index - 1]?.state ?? one.check.start;
          return place === undefined ? [] : [{ moment, before, place }];
        });
        const own = stops.flatMap(({ moment: { item, outcome }, before, place }) =>
          item.kind === "work" || outcome === "already" ? [] : [{ move: moveOf(moves, item.action, before), place }],
        );
        return { ...one, stops, moves: own, resident: residentTracks(wanted, one.check.start, stops, keys.length) };
      });
  return { choices: ofGroups(choices), moves: [...moves.values()], places: keys.length };
}

/** How long an action takes depends on where its consumer is, not on the others. */
function moveOf(moves: Map<string, Move>, action: Action, before: MemoryState): Move {
  const key = JSON.stringify([action, before[targetOf(action)]]);
  const move = moves.get(key) ?? { action, before };
  moves.set(key, move);
  return move;
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

/** A number that grows along a step: phase, edge, group, and the place among the edge's actions. */
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

function residentTracks(group: Group, start: MemoryState, stops: readonly Stop[], places: number) {
  return KEPT_CONSUMERS.filter((consumer) => groupOfConsumer(consumer) === group).map((consumer) => ({
    consumer,
    at: tracked(places, stops, isResident(start, consumer), ({ moment }) => isResident(moment.state, consumer)),
  }));
}

function isResident(state: MemoryState, consumer: KeptConsumer): boolean {
  return state[consumer].residency === "resident";
}

/** 1 from each stop on at which it holds, until the next at which it does not. */
function tracked(places: number, stops: readonly Stop[], atStart: boolean, holds: (stop: Stop) => boolean): Uint8Array {
  const track = new Uint8Array(places);
  let [filled, held] = [0, atStart];
  for (const stop of stops) {
    track.fill(held ? 1 : 0, filled, stop.place);
    held = holds(stop);
    filled = stop.place;
  }
  return track.fill(held ? 1 : 0, filled);
}

export interface CurveContext {
  readonly footprint: Footprint;
  readonly sizes: Sizes;
  /** Of each kind of GPU. */
  readonly kinds: readonly (readonly GpuGroup[])[];
  readonly places: number;
}

/** @param secondsOf Of each move of the playables. */
export function curveOf(playable: PlayableChoice, context: CurveContext, secondsOf: ReadonlyMap<Move, number>): Curve {
  const seconds = playable.moves.reduce((sum, { move }) => sum + (secondsOf.get(move) ?? Number.NaN), 0);
  return { choice: playable.choice, bytes: bytesOf(playable, context), seconds };
}

/** For each kind of GPU one behind the other. */
export function bytesOf(playable: PlayableChoice, context: CurveContext): Float64Array {
  const { group, resident, moves } = playable;
  const { footprint, sizes, kinds, places } = context;
  const bytes = new Float64Array(kinds.length * places);
  for (const [kind, groups] of kinds.entries()) {
    const own = bytes.subarray(kind * places, (kind + 1) * places);
    for (const { consumer, at } of resident) {
      if (groups.includes(groupOf(consumer))) addWhere(own, at, sizes.kept[consumer]);
    }
    if (group === "engine") addEngine(own, playable, groups, context);
    if (group === "training" && groups.includes("trainer")) addPasses(own, playable, context);
  }
  for (const { move, place } of moves) {
    const bucketBytes = bucketBytesOf(move.action, footprint, sizes);
    // A bucket lies on every kind of GPU that takes part in a swap.
    for (let kind = 0; kind < kinds.length; kind++)
      bytes[kind * places + place] = at(bytes, kind * places + place) + bucketBytes;
  }
  return bytes;
}

function at(numbers: Float64Array, index: number): number {
  return numbers[index] ?? 0;
}

function addWhere(bytes: Float64Array, track: Uint8Array, size: number): void {
  for (let place = 0; place < bytes.length; place++) {
    if (track[place] === 1) bytes[place] = at(bytes, place) + size;
  }
}

/** What the engine's and the trainers' processes take besides, and the engine's passes. */
function addEngine(
  bytes: Float64Array,
  { check, stops }: PlayableChoice,
  groups: readonly GpuGroup[],
  { footprint, sizes }: CurveContext,
): void {
  let fixed = groups.reduce((sum, group) => sum + sizes.context[group], 0);
  if (groups.includes("engine")) {
    fixed += sizes.engineFixed;
    let holdings = workspaceAtStart(check, footprint);
    const held = tracked(bytes.length, stops, holdings.workspace, ({ moment: { item } }) => {
      holdings = afterItem(holdings, item, footprint);
      return holdings.workspace;
    });
    addWhere(bytes, held, sizes.workspace);
  }
  for (let place = 0; place < bytes.length; place++) bytes[place] = at(bytes, place) + fixed;
}

function workspaceAtStart({ moments }: Passed, footprint: Footprint): PassHoldings {
  return moments.reduce((holdings, { item }) => afterItem(holdings, item, footprint), HELD_BY_NOBODY);
}

function afterItem(holdings: PassHoldings, item: Item, footprint: Footprint): PassHoldings {
  if (item.kind === "work") return item.work === "rollout" ? { ...holdings, workspace: true } : holdings;
  return afterAction(holdings, item.action, footprint);
}

/** Activations and logits: which pass is the largest so far depends on their sizes. */
function addPasses(bytes: Float64Array, { check, stops }: PlayableChoice, { footprint, sizes }: CurveContext): void {
  const { start, moments } = playStep(check, footprint, sizes);
  const held = (occupancy: typeof start) =>
    consumerBytes(sizes, occupancy, "activations") + consumerBytes(sizes, occupancy, "logits");
  let [filled, holding] = [0, held(start)];
  const add = (until: number) => {
    for (let place = filled; place < until; place++) bytes[place] = at(bytes, place) + holding;
    filled = until;
  };
  for (const { moment, place } of stops) {
    add(place);
    const played = moments[moment.item.index];
    if (played !== undefined) holding = held(played.after);
  }
  add(bytes.length);
}
