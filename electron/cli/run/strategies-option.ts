/** The strategy set of a list of words: `--strategies release-kv-cache,reference=host`. */
import { InvalidArgumentError } from "commander";
import { allStrategies } from "../../../core/schedule/build.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES, type StrategySet, strategySetSchema } from "../../../core/schedule/strategies.ts";
import { sizeOption } from "../options.ts";

/** The set that the words mean for a workload with these roles. */
export type ChosenStrategies = (roles: Roles) => StrategySet;

type Given = Record<string, unknown>;

/** Not a strategy but all of them: the other words then change parts of it. */
const ALL = "all";
/** Stands alone. */
const NONE = "none";

/** What each word adds to the set. */
const WORDS: Readonly<Record<string, { readonly help: string; readonly adds: Given }>> = {
  "release-kv-cache": { help: "no KV cache while the engine is idle", adds: { releaseKvCache: true } },
  "release-engine-weights": {
    help: "no engine weights between rollout and update",
    adds: { releaseEngineWeights: true },
  },
  "swap=copy": { help: "weights reach the engine by one device copy", adds: { swap: { method: "copy" } } },
  "swap=share": { help: "the engine reads the policy's bytes", adds: { swap: { method: "share" } } },
  "reference=host": { help: "the reference on the host while not needed", adds: { reference: "host" } },
  "reference=disk": { help: "the same on disk", adds: { reference: "disk" } },
  "reward=host": { help: "the reward model on the host while not needed", adds: { reward: "host" } },
  "reward=disk": { help: "the same on disk", adds: { reward: "disk" } },
  "training-memory": {
    help: "activations, logits and gradients only while training",
    adds: { trainingMemoryOnlyWhileTraining: true },
  },
  "optimizer=host": { help: "optimizer states on the host but for their update", adds: { optimizerOnHost: true } },
  "optimizer=stream": {
    help: "the same, and updated from there, piece by piece",
    adds: { optimizerOnHost: true, optimizerStreamed: true },
  },
  "single-policy-copy": {
    help: "the policy's weights or the engine's, never both",
    adds: { singlePolicyCopy: "as_is" },
  },
  "single-policy-copy=cast": {
    help: "the same where their precisions differ",
    adds: { singlePolicyCopy: "cast" },
  },
  "int8=reference": { help: "the reference as int8", adds: { int8: { reference: true } } },
  "int8=reward": { help: "the reward model as int8", adds: { int8: { reward: true } } },
};

/** One line per word, for --help. */
export const STRATEGY_HELP = [
  `  ${NONE.padEnd(26)}everything stays where it is`,
  `  ${ALL.padEnd(26)}all that save memory and change no bit of what is learned, but for what other words say`,
  ...Object.entries(WORDS).map(([word, { help }]) => `  ${word.padEnd(26)}${help}`),
  `  ${"swap=bucketed[:SIZE]".padEnd(26)}through a buffer, as a broadcast does (default: bucketed:512MiB)`,
].join("\n");

/** @throws InvalidArgumentError that names the word and what is allowed. */
export function strategiesOption(text: string): ChosenStrategies {
  const words = text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (words.length === 0) throw new InvalidArgumentError(`names no strategy; ${NONE} is a loop without any`);
  if (words.length === 1 && words[0] === NONE) return () => NO_STRATEGIES;
  const given: Given = {};
  for (const word of words.filter((candidate) => candidate !== ALL)) {
    for (const [field, value] of Object.entries(fieldsOf(word))) {
      if (field === "int8") given.int8 = { ...(given.int8 as object | undefined), ...(value as object) };
      else if (field in given) throw new InvalidArgumentError(`${word} contradicts an earlier one`);
      else given[field] = value;
    }
  }
  const base: ChosenStrategies = words.includes(ALL) ? allStrategies : () => NO_STRATEGIES;
  return (roles) => strategySetSchema.parse({ ...base(roles), ...given });
}

function fieldsOf(word: string): Given {
  if (Object.hasOwn(WORDS, word)) return WORDS[word]?.adds ?? {};
  const bucketed = /^swap=bucketed(?::(.+))?$/.exec(word);
  if (bucketed === null) {
    const allowed = [NONE, ALL, ...Object.keys(WORDS), "swap=bucketed"].join(", ");
    if (word === NONE) throw new InvalidArgumentError(`${NONE} stands alone`);
    throw new InvalidArgumentError(`${word} is no strategy; allowed: ${allowed}`);
  }
  const [, size] = bucketed;
  return { swap: size === undefined ? NO_STRATEGIES.swap : { method: "bucketed", bucketBytes: sizeOption(size) } };
}
