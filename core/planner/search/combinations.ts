/**
 * One curve of each group, added: which combination is cheapest below a budget, and which has the lowest peak. All of them
 * are looked at, but for those that a cheaper one already found rules out.
 */
import type { Choice } from "./groups.ts";

/** What a choice takes at every place of a step, and what it costs. */
export interface Curve {
  readonly choice: Choice;
  readonly bytes: Float64Array;
  readonly seconds: number;
}

export interface Combination {
  readonly choices: readonly Choice[];
  readonly seconds: number;
  readonly peakBytes: number;
}

/** The curves that another does not beat everywhere; the cheapest first, and of equal ones the first. */
export function worthwhile(curves: readonly Curve[]): readonly Curve[] {
  const kept: Curve[] = [];
  for (const curve of curves.toSorted((one, other) => one.seconds - other.seconds)) {
    if (!kept.some((cheaper) => isBelow(cheaper.bytes, curve.bytes))) kept.push(curve);
  }
  return kept;
}

function isBelow(bytes: Float64Array, others: Float64Array): boolean {
  for (let place = 0; place < bytes.length; place++) {
    if ((bytes[place] ?? 0) > (others[place] ?? 0)) return false;
  }
  return true;
}

/** The cheapest combination whose peak is within the budget; undefined where none is. */
export function cheapest(groups: readonly (readonly Curve[])[], budgetBytes: number): Combination | undefined {
  const search = new Search(groups);
  search.run((peakBytes, seconds, best) =>
    peakBytes <= budgetBytes && (best === undefined || seconds < best.seconds) ? seconds : undefined,
  );
  return search.best;
}

/** Whether some combination of these bytes, one of each group, is within the budget at every place. */
export function isAnyWithin(groups: readonly (readonly Float64Array[])[], budgetBytes: number): boolean {
  const [first, ...others] = groups;
  if (first === undefined) return true;
  const [next, ...rest] = others;
  if (next === undefined) return first.some((bytes) => bytes.every((held) => held <= budgetBytes));
  return first.some((bytes) => isAnyWithin([next.map((more) => sumOf(bytes, more)), ...rest], budgetBytes));
}

function sumOf(bytes: Float64Array, others: Float64Array): Float64Array {
  return bytes.map((held, place) => held + (others[place] ?? 0));
}

/** The combination with the lowest peak, of equal ones the cheapest; undefined where a group has no choice. */
export function lowest(groups: readonly (readonly Curve[])[]): Combination | undefined {
  const search = new Search(groups);
  search.run((peakBytes, seconds, best) =>
    best === undefined || peakBytes < best.peakBytes || (peakBytes === best.peakBytes && seconds < best.seconds)
      ? Number.POSITIVE_INFINITY
      : undefined,
  );
  return search.best;
}

/** Whether a combination is better than the best so far: the seconds from which on no other can be, or undefined for no. */
type Judge = (peakBytes: number, seconds: number, best: Combination | undefined) => number | undefined;

class Search {
  best: Combination | undefined;
  private readonly groups: readonly (readonly Curve[])[];
  /** Bytes of the curves chosen so far, by depth. */
  private readonly sums: readonly Float64Array[];
  /** What the groups from a depth on cost at least. */
  private readonly leastSeconds: readonly number[];
  private readonly chosen: Curve[] = [];
  private boundSeconds = Number.POSITIVE_INFINITY;

  constructor(groups: readonly (readonly Curve[])[]) {
    this.groups = groups;
    const places = groups[0]?.[0]?.bytes.length ?? 0;
    this.sums = Array.from({ length: groups.length + 1 }, () => new Float64Array(places));
    const least = groups.map((curves) => Math.min(...curves.map(({ seconds }) => seconds)));
    this.leastSeconds = [...groups, undefined].map((_, depth) => least.slice(depth).reduce((sum, one) => sum + one, 0));
  }

  run(judge: Judge): void {
    this.descend(0, 0, judge);
  }

  private descend(depth: number, seconds: number, judge: Judge): void {
    const [before, sum] = [this.sums[depth], this.sums[depth + 1]];
    if (before === undefined) return;
    if (sum === undefined) {
      this.consider(before, seconds, judge);
      return;
    }
    for (const curve of this.groups[depth] ?? []) {
      const soFar = seconds + curve.seconds;
      // Curves are sorted by seconds: those that follow cost more.
      if (soFar + (this.leastSeconds[depth + 1] ?? 0) >= this.boundSeconds) return;
      for (let place = 0; place < sum.length; place++) sum[place] = (before[place] ?? 0) + (curve.bytes[place] ?? 0);
      this.chosen[depth] = curve;
      this.descend(depth + 1, soFar, judge);
    }
  }

  private consider(bytes: Float64Array, seconds: number, judge: Judge): void {
    let peakBytes = 0;
    for (const held of bytes) if (held > peakBytes) peakBytes = held;
    const bound = judge(peakBytes, seconds, this.best);
    if (bound === undefined) return;
    this.boundSeconds = bound;
    this.best = { choices: this.chosen.map(({ choice }) => choice), seconds, peakBytes };
  }
}
