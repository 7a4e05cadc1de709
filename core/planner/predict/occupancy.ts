/**
 * A schedule played on a footprint: what is on a GPU after every item of a step, once the loop has gone round. The check of
 * core/schedule says where every consumer is; here it gets bytes. Memory of a pass grows to what the largest one needed, and
 * stays with whoever allocated it until the schedule gives it back.
 */
import type { Check, Moment } from "../../schedule/check.ts";
import type { MemoryState } from "../../schedule/residency.ts";
import { type Action, targetOf } from "../../schedule/schedule.ts";
import type { ScheduledConsumer, Work } from "../../schedule/works.ts";
import {
  type Footprint,
  type GpuGroup,
  groupOf,
  KEPT_CONSUMERS,
  type KeptConsumer,
  wholeChunks,
} from "../memory/footprint.ts";
import { sumOf } from "../provenance.ts";

/** A footprint as numbers. */
export interface Sizes {
  readonly kept: Readonly<Record<KeptConsumer, number>>;
  readonly passes: Readonly<Partial<Record<Work, { readonly activations: number; readonly logits: number }>>>;
  readonly workspace: number;
  readonly engineFixed: number;
  readonly context: Readonly<Record<GpuGroup, number>>;
}

export function sizesOf(footprint: Footprint): Sizes {
  const kept = Object.fromEntries(KEPT_CONSUMERS.map((consumer) => [consumer, sumOf(footprint.kept[consumer])]));
  const passes = Object.fromEntries(
    Object.entries(footprint.passes).map(([work, { activations, logits }]) => [
      work,
      { activations: sumOf(activations), logits: sumOf(logits) },
    ]),
  );
  return {
    kept: kept as Sizes["kept"],
    passes,
    workspace: sumOf(footprint.workspace.terms),
    engineFixed: sumOf(footprint.engineFixed),
    context: { trainer: sumOf(footprint.context.trainer), engine: sumOf(footprint.context.engine) },
  };
}

/** What is held beside the consumers that are kept. */
export interface PassHoldings {
  /** The pass whose memory is still held. */
  readonly activations: Work | undefined;
  readonly logits: Work | undefined;
  readonly workspace: boolean;
}

const HELD_BY_NOBODY: PassHoldings = { activations: undefined, logits: undefined, workspace: false };

/** The memory just after an item, or at its most during one. */
export interface Occupancy {
  readonly state: MemoryState;
  readonly passes: PassHoldings;
  /** A bucket that a swap passes the weights through. */
  readonly bucketBytes: number;
}

export interface OccupiedMoment extends Moment {
  /** The state of before this item. */
  readonly before: MemoryState;
  /** While it is done, and once it is. */
  readonly during: Occupancy;
  readonly after: Occupancy;
}

export interface PlayedStep {
  readonly start: Occupancy;
  readonly moments: readonly OccupiedMoment[];
}

/** One step of a loop that has been round once. */
export function playStep(check: Extract<Check, { ok: true }>, footprint: Footprint, sizes: Sizes): PlayedStep {
  const first = play(check, HELD_BY_NOBODY, footprint, sizes);
  const held = first.moments.at(-1)?.after.passes ?? HELD_BY_NOBODY;
  return play(check, held, footprint, sizes);
}

function play(check: Extract<Check, { ok: true }>, held: PassHoldings, footprint: Footprint, sizes: Sizes): PlayedStep {
  let passes = held;
  let state = check.start;
  const moments = check.moments.map((moment): OccupiedMoment => {
    const { item } = moment;
    const before = state;
    state = moment.state;
    if (item.kind === "work") {
      passes = afterPass(passes, item.work, state, sizes);
      const during = { state, passes, bucketBytes: 0 };
      return { ...moment, before, during, after: during };
    }
    passes = afterAction(passes, item.action, footprint);
    const after = { state, passes, bucketBytes: 0 };
    const bucketBytes = bucketOf(item.action, footprint, sizes);
    return { ...moment, before, during: bucketBytes === 0 ? after : { ...after, bucketBytes }, after };
  });
  return { start: { state: check.start, passes: held, bucketBytes: 0 }, moments };
}

function afterPass(passes: PassHoldings, work: Work, state: MemoryState, sizes: Sizes): PassHoldings {
  if (work === "rollout") return { ...passes, workspace: state.workspace.residency === "resident" };
  const needed = sizes.passes[work];
  if (needed === undefined) return passes;
  const heldBytes = passBytes(sizes, passes.activations, "activations") + passBytes(sizes, passes.logits, "logits");
  return needed.activations + needed.logits > heldBytes ? { ...passes, activations: work, logits: work } : passes;
}

function passBytes({ passes }: Sizes, work: Work | undefined, part: "activations" | "logits"): number {
  return work === undefined ? 0 : (passes[work]?.[part] ?? 0);
}

function afterAction(passes: PassHoldings, action: Action, { workspace }: Footprint): PassHoldings {
  if (action.kind !== "release" && action.kind !== "offload") return passes;
  const { consumer } = action;
  if (consumer === "activations" || consumer === "logits") return { ...passes, [consumer]: undefined };
  const givesBack = consumer === "workspace" || workspace.givenBackWith.includes(consumer);
  return givesBack ? { ...passes, workspace: false } : passes;
}

function bucketOf(action: Action, { chunkBytes }: Footprint, sizes: Sizes): number {
  if (action.kind !== "swap" || action.method !== "bucketed") return 0;
  const target = targetOf(action);
  // Both ends of a swap are weights.
  const bytes = target === "policy.weights" ? sizes.kept["policy.weights"] : sizes.kept["engine.weights"];
  return wholeChunks(Math.min(action.bucketBytes ?? 0, bytes), chunkBytes);
}

/** Before anything was computed. */
export function withoutPasses(occupancy: Occupancy): Occupancy {
  return { ...occupancy, passes: HELD_BY_NOBODY };
}

/** Bytes of one consumer on a GPU where it is. */
export function consumerBytes(sizes: Sizes, { state, passes }: Occupancy, consumer: ScheduledConsumer): number {
  switch (consumer) {
    case "activations":
    case "logits":
      return passBytes(sizes, passes[consumer], consumer);
    case "workspace":
      return sizes.engineFixed + (passes.workspace ? sizes.workspace : 0);
    default:
      return state[consumer].residency === "resident" ? sizes.kept[consumer] : 0;
  }
}

/** Everything on a GPU that these groups share. */
export function occupiedBytes(sizes: Sizes, occupancy: Occupancy, groups: readonly GpuGroup[]): number {
  let bytes = occupancy.bucketBytes;
  for (const group of groups) bytes += sizes.context[group];
  for (const consumer of KEPT_CONSUMERS) {
    if (groups.includes(groupOf(consumer))) bytes += consumerBytes(sizes, occupancy, consumer);
  }
  if (groups.includes("trainer")) {
    bytes += consumerBytes(sizes, occupancy, "activations") + consumerBytes(sizes, occupancy, "logits");
  }
  if (groups.includes("engine")) bytes += consumerBytes(sizes, occupancy, "workspace");
  return bytes;
}
