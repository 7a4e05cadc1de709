/** Numbers that go on into PPO have to be finite: one that is not would spread into every weight. */
import { TidelineError } from "../../core/errors.ts";
import type { Numbers } from "../../native/addon.d.ts";

/** @throws TidelineError `not_finite` naming `what` the numbers are: "log-probs of the reference". */
export function finite<T extends Numbers>(numbers: T, what: string): T {
  if (Array.prototype.every.call(numbers, Number.isFinite)) return numbers;
  throw new TidelineError({
    code: "not_finite",
    tensor: what,
    message: `the ${what} hold a number that is not finite; no weight was changed`,
    hint: "Look at the checkpoint of that role and at the last update of the weights.",
  });
}
