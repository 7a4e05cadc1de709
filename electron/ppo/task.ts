/**
 * Tasks: where prompts come from, and a rule that checks a response. A rule cannot be fooled as a reward model can, so
 * it is what says whether a policy really got better.
 */
import { TidelineError } from "../../core/errors.ts";
import { type Random, wholeNumber } from "./random.ts";

export interface Task {
  readonly name: string;
  prompt(random: Random): string;
  /** 1 for a response that is right, 0 for one that is not. */
  reward(prompt: string, response: string): number;
}

/** Numbers below this are added: 576 sums. */
const ADDENDS = 24;

/** "7+15=" is to be followed by "22" and the end of the text. */
export const ADDITION: Task = {
  name: "addition",
  prompt: (random) => `${wholeNumber(random, ADDENDS)}+${wholeNumber(random, ADDENDS)}=`,
  reward: (prompt, response) => (response === String(sumOf(prompt)) ? 1 : 0),
};

/** What "7+15=" comes to. */
export function sumOf(prompt: string): number {
  const [, left, right] = /^(\d+)\+(\d+)=$/.exec(prompt) ?? [];
  return Number(left) + Number(right);
}

const TASKS: readonly Task[] = [ADDITION];

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
