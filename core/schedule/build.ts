/**
 * From a set of strategies to the schedule that carries them out: each strategy puts its actions on the edges where they
 * pay off, released as soon as nothing needs a consumer, brought back right before something does.
 */
import { TidelineError } from "../errors.ts";
import { castOf } from "./residency.ts";
import type { Action, Phase, Roles, Schedule, Swap } from "./schedule.ts";
import { NO_STRATEGIES, type StrategySet } from "./strategies.ts";
import { type ScheduledConsumer, WORKS, type Work } from "./works.ts";

/**
 * The schedule of a strategy set.
 * @param roles Who takes part, before any quantisation that the strategies ask for.
 * @throws TidelineError `bad_argument` naming the field of a combination that makes no sense.
 */
export function buildSchedule(strategies: StrategySet, roles: Roles): Schedule {
  refuseContradictions(strategies, roles);
  const before = emptyEdges();
  const after = emptyEdges();
  const { singlePolicyCopy, releaseEngineWeights } = strategies;
  const single = singlePolicyCopy !== "off";

  if (strategies.releaseKvCache) {
    before.rollout.push(resume("engine.kv_cache"));
    after.rollout.push(release("engine.kv_cache"));
  }
  if (single) {
    // The engine's copy is the only one: it becomes the policy's before it is given up.
    before.score_policy.push(
      resume("policy.weights"),
      swap("engine.weights", strategies, roles),
      release("engine.weights"),
    );
  } else if (releaseEngineWeights) {
    after.rollout.push(release("engine.weights"));
  }
  if (strategies.trainingMemoryOnlyWhileTraining) {
    before.score_policy.push(resume("activations"), resume("logits"));
    before.train_critic.push(resume("critic.gradients"));
    after.train_critic.push(release("critic.gradients"));
    before.train_policy.push(resume("policy.gradients"));
    after.train_policy.push(release("policy.gradients"), release("activations"), release("logits"));
  }
  for (const role of ["reference", "reward"] as const) {
    const place = strategies[role];
    if (place === "resident") continue;
    before[`score_${role}`].push(load(`${role}.weights`));
    after[`score_${role}`].push(offload(`${role}.weights`, place));
  }
  // Streamed, they are never anywhere else.
  if (strategies.optimizerOnHost && !strategies.optimizerStreamed) {
    for (const role of ["critic", "policy"] as const) {
      before[`train_${role}`].push(load(`${role}.optimizer`));
      after[`train_${role}`].push(offload(`${role}.optimizer`, "host"));
    }
  }
  if (single || releaseEngineWeights) before.update_weights.push(resume("engine.weights"));
  before.update_weights.push(swap("policy.weights", strategies, roles));
  if (single) after.update_weights.push(release("policy.weights"));

  const phases: Phase[] = WORKS.map((work) => ({ work, before: before[work], after: after[work] }));
  return { version: 1, name: describeStrategies(strategies), roles: rolesWith(strategies, roles), strategies, phases };
}

/** Everything that saves memory and changes no bit of what is learned, for roles as they are before any quantisation. */
export function allStrategies(roles: Roles): StrategySet {
  return {
    ...NO_STRATEGIES,
    releaseKvCache: true,
    swap: { method: "copy" },
    reference: "host",
    reward: roles.reward === "rule" ? "resident" : "host",
    trainingMemoryOnlyWhileTraining: true,
    optimizerOnHost: true,
    // Where a cast would lose bits, two copies stay; the engine's is released while it is idle.
    releaseEngineWeights: roles.engine !== roles.policy,
    singlePolicyCopy: roles.engine === roles.policy ? "as_is" : "off",
  };
}

function emptyEdges(): Record<Work, Action[]> {
  return {
    rollout: [],
    score_policy: [],
    score_reference: [],
    score_reward: [],
    score_critic: [],
    advantages: [],
    train_critic: [],
    train_policy: [],
    update_weights: [],
  };
}

const release = (consumer: ScheduledConsumer): Action => ({ kind: "release", consumer, destination: "return" });
const resume = (consumer: ScheduledConsumer): Action => ({ kind: "resume", consumer });
const load = (consumer: ScheduledConsumer): Action => ({ kind: "load", consumer });
const offload = (consumer: ScheduledConsumer, to: "host" | "disk"): Action => ({ kind: "offload", consumer, to });
const swap = (from: Swap["from"], { swap: how }: StrategySet, roles: Roles): Swap => ({
  kind: "swap",
  from,
  ...how,
  ...castOf(from, roles),
});

function rolesWith({ int8, optimizerOnHost, optimizerStreamed }: StrategySet, roles: Roles): Roles {
  return {
    ...roles,
    ...(int8.reference && { reference: "int8" }),
    ...(int8.reward && { reward: "int8" }),
    ...(optimizerOnHost && optimizerStreamed && { optimizers: "streamed" }),
  };
}

function refuseContradictions(strategies: StrategySet, roles: Roles): void {
  const refuse = (field: string, problem: string, hint: string): never => {
    throw new TidelineError({ code: "bad_argument", field, message: `${field}: ${problem}`, hint });
  };
  const { engine, policy, reward } = roles;
  const { singlePolicyCopy } = strategies;
  if (strategies.swap.method === "share") {
    if (engine !== policy) {
      refuse(
        "swap.method",
        `${policy} weights of the policy cannot be the engine's ${engine} ones`,
        "use copy, which casts",
      );
    }
    if (strategies.releaseEngineWeights) {
      refuse(
        "releaseEngineWeights",
        "an engine that shares the policy's weights has none to release",
        "turn one of them off",
      );
    }
    if (singlePolicyCopy !== "off") {
      refuse("singlePolicyCopy", "sharing is one copy already", "turn it off, or swap by copy");
    }
  }
  if (singlePolicyCopy === "as_is" && engine !== policy) {
    refuse(
      "singlePolicyCopy",
      `${policy} of the policy and ${engine} of the engine need a cast both ways`,
      "choose cast",
    );
  }
  if (singlePolicyCopy === "cast" && engine === policy) {
    refuse("singlePolicyCopy", `policy and engine are both ${engine}: there is nothing to cast`, "choose as_is");
  }
  if (reward === "rule" && strategies.reward !== "resident") {
    refuse("reward", "the reward is a rule and has no weights to offload", "choose resident, or a reward model");
  }
  if (reward === "rule" && strategies.int8.reward) {
    refuse(
      "int8.reward",
      "the reward is a rule and has no weights to quantise",
      "turn it off, or choose a reward model",
    );
  }
}

/** "release KV cache, swap by copy, reference on host": what is on, for lists and titles. */
export function describeStrategies(strategies: StrategySet): string {
  const { swap: how, reference, reward, singlePolicyCopy, int8 } = strategies;
  const parts = [
    strategies.releaseKvCache && "release KV cache",
    strategies.releaseEngineWeights && "release engine weights",
    how.method !== NO_STRATEGIES.swap.method && `swap by ${how.method}`,
    reference !== "resident" && `reference on ${reference}`,
    reward !== "resident" && `reward on ${reward}`,
    strategies.trainingMemoryOnlyWhileTraining && "training memory only while training",
    strategies.optimizerOnHost && `optimizer on host${strategies.optimizerStreamed ? " (streamed)" : ""}`,
    singlePolicyCopy !== "off" && `one policy copy${singlePolicyCopy === "cast" ? " (cast)" : ""}`,
    int8.reference && "int8 reference",
    int8.reward && "int8 reward",
  ].filter((part) => part !== false);
  return parts.length === 0 ? "everything resident" : parts.join(", ");
}
