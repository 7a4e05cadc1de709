/** Rollouts: what is asked of the engine in a step, and how models read what came back. */
import { TidelineError } from "../../core/errors.ts";
import type { TrainingSequence } from "../../native/addon.d.ts";
import type { Tokenizer } from "../session/tokenizer.ts";
import type { Rollout, RolloutRequest } from "./backend.ts";
import { randomOf, wholeNumber } from "./random.ts";
import type { Task } from "./task.ts";
import type { WorkloadSettings } from "./workload-settings.ts";

/** What chance in a step is for: each has numbers of its own. */
const PROMPTS = 2;
const SAMPLING = 3;

/** What a workload says of its rollouts, whichever models make and read them. */
interface Sampled {
  readonly settings: WorkloadSettings;
  readonly task: Task;
  readonly tokenizer: Pick<Tokenizer, "encode">;
}

/**
 * The requests of a step, counted from 0: the same for the same seed.
 * @throws TidelineError `bad_argument` for a prompt that leaves no room for a response.
 */
export function rolloutRequests({ settings, task, tokenizer }: Sampled, step: number): readonly RolloutRequest[] {
  const { seed, rollouts, maxNewTokens, temperature } = settings;
  const random = randomOf(seed, PROMPTS, step);
  const firstSeed = wholeNumber(randomOf(seed, SAMPLING, step), 2 ** 32);
  const requests = Array.from({ length: rollouts }, (_, index) => ({
    promptIds: tokenizer.encode(task.prompt(random)),
    maxNewTokens,
    sampling: { temperature, topK: 0, topP: 1, seed: firstSeed + index },
  }));
  requireRoom(
    requests.map(({ promptIds }) => promptIds),
    settings,
  );
  return requests;
}

/**
 * Whether every step will have room, as far as that is known before: the first, and one with the task's longest prompt.
 * @throws TidelineError `bad_argument` for a prompt that leaves no room for a response.
 */
export function requireRoomInEveryStep(sampled: Sampled): void {
  const { settings, task, tokenizer } = sampled;
  requireRoom([tokenizer.encode(task.longestPrompt)], settings);
  rolloutRequests(sampled, 0);
}

function requireRoom(prompts: readonly (readonly number[])[], { sequenceTokens, maxNewTokens }: WorkloadSettings) {
  const promptTokens = prompts.reduce((most, ids) => Math.max(most, ids.length), 0);
  const neededTokens = promptTokens + maxNewTokens;
  if (neededTokens <= sequenceTokens) return;
  throw new TidelineError({
    code: "bad_argument",
    field: "sequenceTokens",
    message: `sequenceTokens is ${sequenceTokens}, and a prompt has ${promptTokens} tokens, its response up to ${maxNewTokens}`,
    hint: `Give sequenceTokens at least ${neededTokens}, or a smaller maxNewTokens.`,
  });
}

export function idsOf({ promptIds, responseIds }: Rollout): readonly number[] {
  return [...promptIds, ...responseIds];
}

/** For the log-probs of the response. */
export function responseRows(rollout: Rollout): TrainingSequence {
  return { ids: idsOf(rollout), from: rollout.promptIds.length };
}

/** For the values of the response: a token's is read where it is chosen, one row before its own. */
export function valueRows(rollout: Rollout): TrainingSequence {
  return { ids: idsOf(rollout), from: rollout.promptIds.length - 1 };
}

/** For a reward model, whose score is its value of the last token. */
export function rewardRow(rollout: Rollout): TrainingSequence {
  const ids = idsOf(rollout);
  return { ids, from: ids.length - 1 };
}
