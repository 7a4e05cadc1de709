/**
 * Is what the engine computed what the truth says? Pure, so that its strictness is tested by itself: a comparison that
 * cannot fail proves nothing.
 */
import type { GoldenPrompt } from "./golden-file.ts";

/** What the engine computed for one prompt. */
export interface Computed {
  readonly lastLogits: ArrayLike<number>;
  readonly promptLogprobs: ArrayLike<number>;
  readonly greedy: readonly { readonly tokenId: number; readonly logprob: number }[];
}

export interface Comparison {
  /** Largest absolute error of all logits and log-probs compared. */
  readonly worstError: number;
  /** The first thing that is wrong: undefined when all is within the tolerance. */
  readonly failure: string | undefined;
}

/** Compares logits, prompt log-probs and the greedy continuation of one prompt. */
export function comparePrompt(expected: GoldenPrompt, computed: Computed, tolerance: number): Comparison {
  return worst([
    compareNumbers("logit", expected.lastLogits, computed.lastLogits, tolerance),
    compareNumbers("prompt log-prob", expected.promptLogprobs, computed.promptLogprobs, tolerance),
    compareGreedy(expected, computed.greedy, tolerance),
  ]);
}

/** Compares two lists element by element; another length is a failure, and so is anything that is not a number. */
export function compareNumbers(
  what: string,
  expected: ArrayLike<number>,
  computed: ArrayLike<number>,
  tolerance: number,
): Comparison {
  if (computed.length !== expected.length) {
    return {
      worstError: Number.POSITIVE_INFINITY,
      failure: `${computed.length} ${what}s, expected ${expected.length}`,
    };
  }
  let worstError = 0;
  let worstAt = 0;
  for (let index = 0; index < expected.length; index++) {
    const error = absoluteError(computed[index], expected[index]);
    if (error > worstError) [worstError, worstAt] = [error, index];
  }
  if (worstError <= tolerance) return { worstError, failure: undefined };
  return { worstError, failure: `${what} ${worstAt} is ${computed[worstAt]}, expected ${expected[worstAt]}` };
}

/**
 * Tokens have to agree wherever the best logit leads by more than the tolerance. Where it does not, the runner-up may
 * win; from there the sequences differ and nothing more can be compared.
 */
function compareGreedy(expected: GoldenPrompt, computed: Computed["greedy"], tolerance: number): Comparison {
  if (computed.length !== expected.greedy.length) {
    const failure = `${computed.length} greedy tokens, expected ${expected.greedy.length}`;
    return { worstError: Number.POSITIVE_INFINITY, failure };
  }
  let worstError = 0;
  for (const [step, { tokenId, logprob }] of computed.entries()) {
    const margin = expected.greedyMargin[step] ?? Number.NaN;
    const sameToken = tokenId === expected.greedy[step];
    if (!sameToken && !(margin <= tolerance)) {
      const failure = `greedy token ${step} is ${tokenId}, expected ${expected.greedy[step]} (margin ${margin})`;
      return { worstError, failure };
    }
    const error = absoluteError(logprob, expected.greedyLogprobs[step]);
    // A legitimate runner-up lies below the best by the margin, give or take the tolerance.
    if (!sameToken)
      return error <= margin + tolerance ? { worstError, failure: undefined } : runnerUpTooFar(step, error);
    worstError = Math.max(worstError, error);
    if (!(error <= tolerance)) {
      return {
        worstError,
        failure: `log-prob of greedy token ${step} is ${logprob}, expected ${expected.greedyLogprobs[step]}`,
      };
    }
  }
  return { worstError, failure: undefined };
}

function runnerUpTooFar(step: number, error: number): Comparison {
  return { worstError: error, failure: `greedy token ${step} is no runner-up: its log-prob is ${error} away` };
}

/** The worst error of all, and the first failure. */
export function worst(comparisons: readonly Comparison[]): Comparison {
  return {
    worstError: comparisons.reduce((most, { worstError }) => Math.max(most, worstError), 0),
    failure: comparisons.find(({ failure }) => failure !== undefined)?.failure,
  };
}

/** Infinite when either is missing or not a number, so that it can never pass. */
function absoluteError(computed: number | undefined, expected: number | undefined): number {
  const error = Math.abs((computed ?? Number.NaN) - (expected ?? Number.NaN));
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}
