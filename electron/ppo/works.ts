/**
 * What the works of a step do: the arithmetic of PPO over one batch of rollouts, on a backend. The results of a work are
 * kept here for those that come after it, and forgotten when the next step begins. A work that failed can be done again;
 * training goes on with the first update that is not done yet.
 */
import { assertNever, TidelineError } from "../../core/errors.ts";
import type { RolloutSample, StepStatistics } from "../../core/run/records.ts";
import type { Work } from "../../core/schedule/works.ts";
import type { Numbers, PpoAdvantages } from "../../native/addon.d.ts";
import type { PpoBackend, Rollout } from "./backend.ts";
import { finite } from "./finite.ts";
import { randomOf, shuffled } from "./random.ts";
import { idsOf, responseRows, rewardRow, rolloutRequests, valueRows } from "./rollouts.ts";
import type { Workload } from "./workload.ts";

interface Results {
  rollouts?: readonly Rollout[];
  oldLogprobs?: readonly Numbers[];
  referenceLogprobs?: readonly Numbers[];
  scores?: readonly number[];
  /** Where a rule read them. */
  texts?: readonly Texts[];
  values?: readonly Numbers[];
  advantages?: PpoAdvantages;
  readonly criticUpdates: { readonly loss: number; readonly tokens: number }[];
  readonly policyUpdates: {
    readonly loss: number;
    readonly entropy: number;
    readonly clipFraction: number;
    readonly tokens: number;
  }[];
}

type Texts = Pick<RolloutSample, "prompt" | "response">;

const SHUFFLE = 1;

export class PpoWorks {
  readonly #backend: PpoBackend;
  readonly #workload: Workload;
  #step = 0;
  #results: Results = { criticUpdates: [], policyUpdates: [] };

  constructor(backend: PpoBackend, workload: Workload) {
    this.#backend = backend;
    this.#workload = workload;
  }

  /** Forgets the step before. @param step counts from 0 and decides, with the seed, all chance in it. */
  begin(step: number): void {
    this.#step = step;
    this.#results = { criticUpdates: [], policyUpdates: [] };
  }

  /**
   * Does one work of the step.
   * @throws the backend's errors; TidelineError `not_finite` for a reward, log-prob or value that is no finite number.
   */
  async run(work: Work, signal: AbortSignal): Promise<void> {
    switch (work) {
      case "rollout":
        return this.#rollOut(signal);
      case "score_policy":
        this.#results.oldLogprobs = await this.#logprobs("policy", signal);
        return;
      case "score_reference":
        this.#results.referenceLogprobs = await this.#logprobs("reference", signal);
        return;
      case "score_reward":
        return this.#scoreReward(signal);
      case "score_critic":
        return this.#scoreCritic(signal);
      case "advantages":
        return this.#computeAdvantages();
      case "train_critic":
        return this.#trainCritic(signal);
      case "train_policy":
        return this.#trainPolicy(signal);
      case "update_weights":
        // The swap before it has put the new weights in the engine's place; the next request reads them.
        return;
      default:
        return assertNever(work);
    }
  }

  /** Whether a work that did not end has changed weights: some of its updates may be done. */
  hasWritten(work: Work): boolean {
    const { criticUpdates, policyUpdates } = this.#results;
    return (
      (work === "train_critic" && criticUpdates.length > 0) || (work === "train_policy" && policyUpdates.length > 0)
    );
  }

  /** Of the works done so far; undefined until the policy was trained. */
  statistics(): StepStatistics | undefined {
    const { rollouts, scores, advantages, criticUpdates, policyUpdates } = this.#results;
    if (rollouts === undefined || scores === undefined || advantages === undefined || policyUpdates.length === 0) {
      return undefined;
    }
    return {
      reward: mean(scores),
      kl: advantages.meanKl,
      policyLoss: meanBy(policyUpdates, ({ loss }) => loss),
      valueLoss: meanBy(criticUpdates, ({ loss }) => loss),
      entropy: meanBy(policyUpdates, ({ entropy }) => entropy),
      clipFraction: meanBy(policyUpdates, ({ clipFraction }) => clipFraction),
      responseTokens: mean(rollouts.map(({ responseIds }) => responseIds.length)),
    };
  }

  /** The first rollouts of the step, once they are rewarded. */
  samples(count: number): readonly RolloutSample[] {
    const { rollouts = [], scores = [], texts } = this.#results;
    return rollouts.slice(0, count).flatMap((rollout, index) => {
      const reward = scores[index];
      return reward === undefined ? [] : [{ ...(texts?.[index] ?? this.#textsOf(rollout)), reward }];
    });
  }

  async #rollOut(signal: AbortSignal): Promise<void> {
    const requests = rolloutRequests(this.#workload, this.#step);
    this.#results.rollouts = await this.#backend.generate(requests, signal);
  }

  async #logprobs(role: "policy" | "reference", signal: AbortSignal): Promise<readonly Numbers[]> {
    const scores = await this.#backend.scoreTokens(role, this.#rollouts().map(responseRows), signal);
    return scores.map(({ logprobs }) => finite(logprobs, `log-probs of the ${role}`));
  }

  async #scoreReward(signal: AbortSignal): Promise<void> {
    const { task, checkpoints } = this.#workload;
    const rollouts = this.#rollouts();
    if (checkpoints.reward === undefined) {
      const texts = rollouts.map((rollout) => this.#textsOf(rollout));
      const scores = texts.map(({ prompt, response }) => task.reward(prompt, response));
      this.#results.texts = texts;
      this.#results.scores = finite(scores, "rewards");
      return;
    }
    const values = await this.#backend.values("reward", rollouts.map(rewardRow), signal);
    this.#results.scores = finite(
      values.map(([value]) => value ?? Number.NaN),
      "rewards",
    );
  }

  async #scoreCritic(signal: AbortSignal): Promise<void> {
    const rollouts = this.#rollouts();
    const values = await this.#backend.values("critic", rollouts.map(valueRows), signal);
    this.#results.values = values.map((row, index) =>
      finite(row.subarray(0, rollouts[index]?.responseIds.length), "values of the critic"),
    );
  }

  async #computeAdvantages(): Promise<void> {
    const { klCoefficient, gamma, lambda } = this.#workload.settings;
    this.#results.advantages = this.#backend.advantages({
      oldLogprobs: required(this.#results.oldLogprobs, "score_policy"),
      referenceLogprobs: required(this.#results.referenceLogprobs, "score_reference"),
      values: required(this.#results.values, "score_critic"),
      scores: required(this.#results.scores, "score_reward"),
      klCoefficient,
      gamma,
      lambda,
    });
  }

  async #trainCritic(signal: AbortSignal): Promise<void> {
    const { valueClipRange: clipRange, optimizer } = this.#workload.settings;
    const { returns } = required(this.#results.advantages, "advantages");
    const sequences = this.#rollouts().map((rollout, index) => ({
      ...valueRows(rollout),
      oldValues: this.#results.values?.[index] ?? [],
      returns: returns[index] ?? [],
    }));
    for (const chosen of this.#updatesLeft(this.#results.criticUpdates.length)) {
      const update = { sequences: pick(sequences, chosen), clipRange, optimizer: optimizer.critic };
      this.#results.criticUpdates.push(await this.#backend.updateCritic(update, signal));
    }
  }

  async #trainPolicy(signal: AbortSignal): Promise<void> {
    const { clipRange, entropyCoefficient, optimizer } = this.#workload.settings;
    const { whitenedAdvantages } = required(this.#results.advantages, "advantages");
    const sequences = this.#rollouts().map((rollout, index) => ({
      ids: idsOf(rollout),
      from: rollout.promptIds.length,
      oldLogprobs: this.#results.oldLogprobs?.[index] ?? [],
      advantages: whitenedAdvantages[index] ?? [],
    }));
    for (const chosen of this.#updatesLeft(this.#results.policyUpdates.length)) {
      const update = {
        sequences: pick(sequences, chosen),
        clipRange,
        entropyCoefficient,
        optimizer: optimizer.policy,
      };
      this.#results.policyUpdates.push(await this.#backend.updatePolicy(update, signal));
    }
  }

  /** Which rollouts each update learns from, without those updates that are done. */
  #updatesLeft(done: number): readonly (readonly number[])[] {
    const { epochs, miniBatches, seed, rollouts } = this.#workload.settings;
    const size = Math.ceil(rollouts / miniBatches);
    const indices = Array.from({ length: rollouts }, (_, index) => index);
    const updates = Array.from({ length: epochs }, (_, epoch) => {
      const order = shuffled(indices, randomOf(seed, SHUFFLE, this.#step, epoch));
      return Array.from({ length: Math.ceil(rollouts / size) }, (__, part) =>
        order.slice(part * size, (part + 1) * size),
      );
    });
    return updates.flat().slice(done);
  }

  #rollouts(): readonly Rollout[] {
    return required(this.#results.rollouts, "rollout");
  }

  #textsOf({ promptIds, responseIds, ended }: Rollout): Texts {
    const { tokenizer } = this.#workload;
    const textIds = ended === "stop" ? responseIds.slice(0, -1) : responseIds;
    return { prompt: tokenizer.decode(promptIds), response: tokenizer.decode(textIds) };
  }
}

function required<T>(result: T | undefined, work: Work): T {
  if (result !== undefined) return result;
  throw new TidelineError({ code: "bad_argument", message: `there are no results of ${work} in this step` });
}

function pick<T>(things: readonly T[], indices: readonly number[]): readonly T[] {
  return indices.flatMap((index) => things[index] ?? []);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);
}

function meanBy<T extends { readonly tokens: number }>(updates: readonly T[], of: (update: T) => number): number {
  const tokens = updates.reduce((sum, update) => sum + update.tokens, 0);
  return updates.reduce((sum, update) => sum + of(update) * update.tokens, 0) / Math.max(1, tokens);
}
