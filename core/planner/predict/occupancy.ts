/**
 * A schedule played on a footprint: what is on a GPU after every item of a step, once the loop has gone round. The check of
 * core/schedule says where every consumer is; here it gets bytes. Memory of a pass grows to what the largest one needed, and
 * stays with whoever allocated it until the schedule gives it back.
 */
import type { Check, Moment } from "../../schedule/check.ts";
import type { MemoryState } from "../../schedule/residency.ts";
import type { Action } from "../../schedule/schedule.ts";
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

type Passed = Extract<Check, { ok: true }>;

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

export const HELD_BY_NOBODY: PassHoldings = { activations: undefined, logits: undefined, workspace: false };

/** The memory just after an item, or at its most during one. */
export interface Occupancy {
  readonly state: MemoryState;
  readonly passes: PassHoldings;
  /** A bucket that a swap passes the weights through. */
  readonly bucketBytes: number;
}

export interface OccupiedMoment {
  readonly moment: Moment;
  /** The state of before its item. */
  readonly before: MemoryState;
  /** While it is done, and once it is. */
  readonly during: Occupancy;
  readonly after: Occupancy;
}

export interface PlayedStep {
  readonly start: Occupancy;
  /** As in the check. */
  readonly moments: readonly OccupiedMoment[];
}

/** One step of a loop that has been round once. */
export function playStep({ start, moments }: Passed, footprint: Footprint, sizes: Sizes): PlayedStep {
  let passes = HELD_BY_NOBODY;
  for (const moment of moments) passes = afterMoment(passes, moment, footprint, sizes);
  const held = passes;
  let before = start;
  return {
    start: { state: start, passes: held, bucketBytes: 0 },
    moments: moments.map((moment): OccupiedMoment => {
      const { item, state } = moment;
      passes = afterMoment(passes, moment, footprint, sizes);
      const after: Occupancy = { state, passes, bucketBytes: 0 };
      const bucketBytes = item.kind === "work" ? 0 : bucketBytesOf(item.action, footprint, sizes);
      const during = bucketBytes === 0 ? after : { state, passes, bucketBytes };
      const occupied = { moment, before, during, after };
      before = state;
      return occupied;
    }),
  };
}

function afterMoment(passes: PassHoldings, { item, state }: Moment, footprint: Footprint, sizes: Sizes): PassHoldings {
  return item.kind === "work"
    ? afterPass(passes, item.work, state, sizes)
    : afterAction(passes, item.action, footprint);
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

/** What is still held of passes after an action. */
export function afterAction(passes: PassHoldings, action: Action, { workspace }: Footprint): PassHoldings {
  if (action.kind !== "release" && action.kind !== "offload") return passes;
  const { consumer } = action;
  if (consumer === "activations" || consumer === "logits") return { ...passes, [consumer]: undefined };
  const givesBack = consumer === "workspace" || workspace.givenBackWith.includes(consumer);
  return givesBack ? { ...passes, workspace: false } : passes;
}

/** The memory that a swap takes while it lasts. */
export function bucketBytesOf(action: Action, { chunkBytes }: Footprint, sizes: Sizes): number {
  if (action.kind !== "swap" || action.method !== "bucketed") return 0;
  // What is written lies in the bucket as the other of the two stores it; a cast follows.
  return wholeChunks(Math.min(action.bucketBytes ?? 0, sizes.kept[action.from]), chunkBytes);
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
