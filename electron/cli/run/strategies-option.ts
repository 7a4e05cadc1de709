/** The strategy set of a list of words: `--strategies release-kv-cache,reference=host`. */
import { InvalidArgumentError } from "commander";
import { type StrategySet, strategySetSchema } from "../../../core/schedule/strategies.ts";
import { parseBytes, SizeSyntaxError } from "../../../core/units.ts";

type Given = Record<string, unknown>;

/** What each word adds to the set. */
const WORDS: Readonly<Record<string, { readonly help: string; readonly adds: Given }>> = {
  all: {
    help: "what saves most and keeps every bit, where policy and engine have one precision",
    adds: {
      releaseKvCache: true,
      swap: { method: "copy" },
      reference: "host",
      trainingMemoryOnlyWhileTraining: true,
      optimizerOnHost: true,
      singlePolicyCopy: "as_is",
    },
  },
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
  ...Object.entries(WORDS).map(([word, { help }]) => `  ${word.padEnd(26)}${help}`),
  `  ${"swap=bucketed[:SIZE]".padEnd(26)}through a buffer, as a broadcast does (default: bucketed:512MiB)`,
].join("\n");

/** @throws InvalidArgumentError that names the word and what is allowed. */
export function strategiesOption(text: string): StrategySet {
  const given: Given = {};
  for (const word of text.split(",").map((part) => part.trim())) {
    if (word === "") continue;
    for (const [field, value] of Object.entries(fieldsOf(word))) {
      if (field === "int8") given.int8 = { ...(given.int8 as object | undefined), ...(value as object) };
      else if (field in given) throw new InvalidArgumentError(`${word} contradicts an earlier one`);
      else given[field] = value;
    }
  }
  return strategySetSchema.parse(given);
}

function fieldsOf(word: string): Given {
  if (Object.hasOwn(WORDS, word)) return WORDS[word]?.adds ?? {};
  const [, size] = /^swap=bucketed(?::(.+))?$/.exec(word) ?? [undefined, word];
  if (size === undefined) return {};
  if (size !== word) return { swap: { method: "bucketed", bucketBytes: sizeOf(size) } };
  throw new InvalidArgumentError(
    `${word} is no strategy; allowed: ${[...Object.keys(WORDS), "swap=bucketed"].join(", ")}`,
  );
}

function sizeOf(text: string): number {
  try {
    return parseBytes(text);
  } catch (error) {
    if (error instanceof SizeSyntaxError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
