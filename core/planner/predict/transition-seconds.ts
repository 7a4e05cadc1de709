/** The transitions of a plan: what an action moves, at which rates, on which GPUs. */
import type { MemoryState } from "../../schedule/residency.ts";
import type { Action } from "../../schedule/schedule.ts";
import type { ScheduledConsumer } from "../../schedule/works.ts";
import { PASS_CONSUMERS, type PassConsumer } from "../memory/footprint.ts";
import { layoutOf } from "../plan.ts";
import { sumOf } from "../provenance.ts";
import type { ResolvedPlan } from "../resolve.ts";
import { ratesOf } from "../transitions/rates.ts";
import { type Transition, transitionOf } from "../transitions/transition.ts";
import type { Sizes } from "./occupancy.ts";

/** What an action takes, done in a state of the memory. */
export function transitionsOf(
  { plan: { placement }, gpu, backend }: ResolvedPlan,
  sizes: Sizes,
): (action: Action, state: MemoryState) => Transition {
  const rates = ratesOf(gpu, backend);
  const sharded = placement.zeroStage === 3 ? 1 - 1 / layoutOf(placement).trainers : 0;
  const context = {
    bytesOf: (consumer: ScheduledConsumer) =>
      backend === "embedded" ? regionBytes(sizes, consumer) : keptBytes(sizes, consumer),
    rates,
    peerShare: placement.kind === "separate" ? 1 : sharded,
  };
  return (action, state) => transitionOf(action, { ...context, state });
}

export type TransitionSeconds = (action: Action, state: MemoryState) => number;

export function transitionSecondsOf(resolved: ResolvedPlan, sizes: Sizes): TransitionSeconds {
  const transitions = transitionsOf(resolved, sizes);
  return (action, state) => sumOf(transitions(action, state).seconds);
}

/** What a pass takes comes and goes with the pass, handed out by a caching allocator: nothing is moved for it. */
export function keptBytes({ kept }: Sizes, consumer: ScheduledConsumer): number {
  return isOfPasses(consumer) ? 0 : kept[consumer];
}

/** The embedded engine has a region for passes too. */
function regionBytes(sizes: Sizes, consumer: ScheduledConsumer): number {
  if (consumer === "workspace") return sizes.workspace;
  if (!isOfPasses(consumer)) return sizes.kept[consumer];
  return Math.max(...Object.values(sizes.passes).map((pass) => pass[consumer]));
}

function isOfPasses(consumer: ScheduledConsumer): consumer is PassConsumer {
  return PASS_CONSUMERS.some((one) => one === consumer);
}
