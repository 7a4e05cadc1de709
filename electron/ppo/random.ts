/** Chance that can be repeated: the same numbers for the same seeds, on every machine. */

/** Uniform numbers in [0, 1). */
export type Random = () => number;

/** The numbers of a list of whole numbers (seed, step, …): each list has its own. SplitMix32 by Steele, Lea and Flood. */
export function randomOf(...seeds: readonly number[]): Random {
  let state = 0;
  for (const seed of seeds) state = mix(state + (seed % 2 ** 32) + 0x9e3779b9);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state) / 2 ** 32;
  };
}

function mix(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** A whole number of 0 … count - 1. */
export function wholeNumber(random: Random, count: number): number {
  return Math.floor(random() * count);
}

/** Normal numbers of mean 0 and variance 1, by Box and Muller. */
export function normalNumber(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The same things in another order. */
export function shuffled<T>(things: readonly T[], random: Random): readonly T[] {
  return things
    .map((thing) => ({ thing, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ thing }) => thing);
}
