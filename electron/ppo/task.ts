/**
 * Tasks: where prompts come from, and a rule that checks a response. A rule cannot be fooled as a reward model can, so
 * it is what says whether a policy really got better.
 */
import { TidelineError } from "../../core/errors.ts";
import { type Random, wholeNumber } from "./random.ts";

export interface Task {
  readonly name: string;
  prompt(random: Random): string;
  /** None has more characters. */
  readonly longestPrompt: string;
  /** 1 for a response that is right, 0 for one that is not. */
  reward(prompt: string, response: string): number;
}

/** Numbers below this are added: 576 sums. */
const ADDENDS = 24;

/** "7+15=" is to be followed by "22" and the end of the text. */
export const ADDITION: Task = {
  name: "addition",
  prompt: (random) => `${wholeNumber(random, ADDENDS)}+${wholeNumber(random, ADDENDS)}=`,
  longestPrompt: `${ADDENDS - 1}+${ADDENDS - 1}=`,
  reward: (prompt, response) => (response === String(sumOf(prompt)) ? 1 : 0),
};

/** Of the passage: with a tokenizer of bytes, as many tokens. */
const PASSAGE_CHARACTERS = 256;

/**
 * A passage of digits; a response earns the share of its characters that are the passage's first. For loads of a real
 * size: the prompt is long, and so is a response, which nothing cuts short.
 */
export const FIRST_DIGIT: Task = {
  name: "first-digit",
  prompt: (random) => Array.from({ length: PASSAGE_CHARACTERS }, () => wholeNumber(random, 10)).join(""),
  longestPrompt: Array.from({ length: PASSAGE_CHARACTERS }, (_, index) => index % 10).join(""),
  reward: (prompt, response) => {
    const characters = [...response];
    return characters.filter((character) => character === prompt[0]).length / Math.max(1, characters.length);
  },
};

/** What "7+15=" comes to. */
export function sumOf(prompt: string): number {
  const [, left, right] = /^(\d+)\+(\d+)=$/.exec(prompt) ?? [];
  return Number(left) + Number(right);
}

const TASKS: readonly Task[] = [ADDITION, FIRST_DIGIT];

/** @throws TidelineError `bad_argument` for a name that no task has. */
export function taskNamed(name: string): Task {
  const task = TASKS.find((candidate) => candidate.name === name);
  if (task !== undefined) return task;
  throw new TidelineError({
    code: "bad_argument",
    field: "task",
    message: `there is no task ${name}`,
    hint: `allowed: ${TASKS.map((candidate) => candidate.name).join(", ")}`,
  });
}
