/**
 * The choices of a plan, in groups that do not touch each other: no strategy of one group moves a consumer of another, and
 * on every edge of a schedule the actions of the groups come in one order. So the bytes on the device are a sum over groups
 * at every moment, the seconds are a sum too, and the best plan can be found exactly without trying every schedule.
 */

import { NO_STRATEGIES, type StrategySet } from "../../schedule/strategies.ts";
import type { ScheduledConsumer } from "../../schedule/works.ts";
import type { Plan } from "../plan.ts";

/** In the order in which core/schedule/build.ts puts their actions on an edge. */
export const GROUPS = ["engine", "training", "reference", "reward", "optimizer"] as const;
export type Group = (typeof GROUPS)[number];

/** Something of each group. */
export function ofGroups<T>(make: (group: Group) => T): Readonly<Record<Group, T>> {
  return {
    engine: make("engine"),
    training: make("training"),
    reference: make("reference"),
    reward: make("reward"),
    optimizer: make("optimizer"),
  };
}

/** Strategies of one group; the others stay as they are. */
export type Choice = Partial<StrategySet>;

export function groupOfConsumer(consumer: ScheduledConsumer): Group {
  switch (consumer) {
    case "reference.weights":
      return "reference";
    case "reward.weights":
      return "reward";
    case "policy.optimizer":
    case "critic.optimizer":
      return "optimizer";
    case "policy.gradients":
    case "critic.gradients":
    case "activations":
    case "logits":
      return "training";
    default:
      return "engine";
  }
}

/** Which strategies a search may switch; the others stay as the plan has them. */
export type SwitchableStrategy = Exclude<keyof StrategySet, "int8">;

/**
 * Every choice of a group that makes sense for a plan. Those that lose bits of the policy are among them only where `cast`
 * says so.
 */
export function choicesOf(
  group: Group,
  plan: Plan,
  { may, cast }: { readonly may: (strategy: SwitchableStrategy) => boolean; readonly cast: boolean },
): readonly Choice[] {
  const { strategies } = plan;
  const values = <Name extends SwitchableStrategy>(name: Name, all: readonly StrategySet[Name][]) =>
    may(name) ? all : [strategies[name]];
  const flags = [false, true] as const;
  switch (group) {
    case "engine":
      return engineChoices(plan, values, cast);
    case "training":
      return values("trainingMemoryOnlyWhileTraining", flags).map((on) => ({ trainingMemoryOnlyWhileTraining: on }));
    case "optimizer":
      return values("optimizerOnHost", flags).map((on) => ({
        optimizerOnHost: on,
        optimizerStreamed: strategies.optimizerStreamed,
      }));
    case "reference":
      return values("reference", PLACES).map((reference) => ({ reference }));
    case "reward":
      // A rule has no weights that could be anywhere else.
      return values("reward", plan.workload.reward === "rule" ? ["resident"] : PLACES).map((reward) => ({ reward }));
  }
}

const PLACES = ["resident", "host", "disk"] as const satisfies readonly StrategySet["reference"][];

type Values = <Name extends SwitchableStrategy>(
  name: Name,
  all: readonly StrategySet[Name][],
) => readonly StrategySet[Name][];

function engineChoices({ workload, strategies }: Plan, values: Values, cast: boolean): readonly Choice[] {
  const samePrecision = workload.engine.precision === workload.policy.precision;
  const bucketed = strategies.swap.method === "bucketed" ? strategies.swap : NO_STRATEGIES.swap;
  const copies: readonly StrategySet["singlePolicyCopy"][] = samePrecision
    ? ["off", "as_is"]
    : cast
      ? ["off", "cast"]
      : ["off"];
  return values("releaseKvCache", [false, true]).flatMap((releaseKvCache) =>
    values("releaseEngineWeights", [false, true]).flatMap((releaseEngineWeights) =>
      values("swap", [{ method: "share" }, { method: "copy" }, bucketed]).flatMap((swap) =>
        values("singlePolicyCopy", copies).map((singlePolicyCopy) => ({
          releaseKvCache,
          releaseEngineWeights,
          swap,
          singlePolicyCopy,
        })),
      ),
    ),
  );
}

/** What these strategies take off the card is nowhere in a step there for longer because of them. */
const TAKES_OFF: Readonly<Record<string, unknown>> = {
  releaseKvCache: true,
  releaseEngineWeights: true,
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
  reference: "host",
  reward: "host",
} satisfies Choice;

/** Without the choices that another one equals but for one such strategy more: if anything fits, something fits with these. */
export function leanestOf(choices: readonly Choice[]): readonly Choice[] {
  return choices.filter((choice) => !choices.some((other) => isLeaner(other, choice)));
}

function isLeaner(one: Choice, other: Choice): boolean {
  const values = new Map(Object.entries(other).map(([name, value]) => [name, JSON.stringify(value)]));
  const [different, ...more] = Object.entries(one).filter(
    ([name, value]) => values.get(name) !== JSON.stringify(value),
  );
  if (different === undefined || more.length > 0) return false;
  const [name, value] = different;
  return name in TAKES_OFF && TAKES_OFF[name] === value;
}
