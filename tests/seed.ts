/**
 * Properties draw the same cases in every run, so that no change is judged by luck; `npm run fuzz` draws others.
 * `TIDELINE_FUZZ_SEED` is another seed, or `random`.
 */
import fc from "fast-check";

const asked = process.env.TIDELINE_FUZZ_SEED ?? "1";
if (asked !== "random") {
  const seed = Number(asked);
  if (!Number.isInteger(seed)) throw new Error(`TIDELINE_FUZZ_SEED is a whole number or "random", not "${asked}"`);
  fc.configureGlobal({ seed });
}
