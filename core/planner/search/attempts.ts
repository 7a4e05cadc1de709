/** Edits put together and tried: whether some schedule fits with them, and with how little of them one still does. */
import { toErrorData } from "../../errors.ts";
import { contradictionsOf, type Plan } from "../plan.ts";
import { type Allowed, bestOf, canFit, type Searched } from "./best.ts";
import type { Edit } from "./edit.ts";

/** A step of an edit, by its place among the edit's steps. */
export interface ChosenEdit {
  readonly edit: Edit;
  readonly index: number;
}

/** Edits with which it fits, and the best that they come to. */
export interface Found {
  readonly edits: readonly ChosenEdit[];
  readonly searched: Searched;
}

/** A plan that edits come to; whether it fits is found out once, and only where it matters. */
interface Candidate {
  readonly plan: Plan;
  fits: boolean | undefined;
}

/** One plan's; each combination is tried once. */
export class Attempts {
  private readonly plan: Plan;
  private readonly allowed: Allowed;
  private readonly known = new Map<string, readonly Candidate[]>();

  constructor(plan: Plan, allowed: Allowed) {
    this.plan = plan;
    this.allowed = allowed;
  }

  /** Whether some schedule fits with these edits. */
  fits(edits: readonly ChosenEdit[]): boolean {
    return this.candidates(edits).some((candidate) => this.isFitting(candidate));
  }

  /**
   * From the last edit to the first: its smallest step that is enough with what those before it can do at their largest.
   * Undefined where all of them at their largest are too little.
   */
  smallest(edits: readonly Edit[]): readonly ChosenEdit[] | undefined {
    const all = edits.map(largest);
    if (!this.fits(all)) return undefined;
    return edits.reduceRight<readonly ChosenEdit[]>((chosen, _, place) => this.withSmallestStep(chosen, place), all);
  }

  /** As `smallest`, without the edits that the others make needless. */
  needed(edits: readonly Edit[]): readonly ChosenEdit[] | undefined {
    const all = edits.map(largest);
    if (!this.fits(all)) return undefined;
    return edits.reduceRight<readonly ChosenEdit[]>((chosen, _, place) => {
      const without = chosen.toSpliced(place, 1);
      return this.fits(without) ? without : this.withSmallestStep(chosen, place);
    }, all);
  }

  /** The best that edits come to with which it fits. */
  found(edits: readonly ChosenEdit[]): Found | undefined {
    const fitting = this.candidates(edits).filter((candidate) => this.isFitting(candidate));
    const searched = bestOf(
      fitting.map(({ plan }) => plan),
      this.allowed,
    );
    return searched && { edits, searched };
  }

  /** Steps grow, so the first that fits is found by halving. */
  private withSmallestStep(fitting: readonly ChosenEdit[], place: number): readonly ChosenEdit[] {
    let found = fitting;
    let [low, high] = [0, fitting[place]?.index ?? 0];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const smaller = fitting.map((chosen, index) => (index === place ? { ...chosen, index: middle } : chosen));
      if (this.fits(smaller)) [found, high] = [smaller, middle];
      else low = middle + 1;
    }
    return found;
  }

  private candidates(edits: readonly ChosenEdit[]): readonly Candidate[] {
    const key = keyOf(edits);
    const known = this.known.get(key) ?? this.changed(edits).map((plan): Candidate => ({ plan, fits: undefined }));
    this.known.set(key, known);
    return known;
  }

  private changed(edits: readonly ChosenEdit[]): readonly Plan[] {
    const plans = edits.reduce<readonly Plan[]>(
      (changed, { edit, index }) => changed.flatMap((plan) => edit.steps[index]?.apply(plan) ?? []),
      [this.plan],
    );
    return plans.filter((plan) => contradictionsOf(plan).length === 0);
  }

  private isFitting(candidate: Candidate): boolean {
    candidate.fits ??= this.canFit(candidate.plan);
    return candidate.fits;
  }

  private canFit(plan: Plan): boolean {
    try {
      return canFit(plan, this.allowed);
    } catch (error) {
      // Something that these models do not take.
      if (toErrorData(error).code === "plan_invalid") return false;
      throw error;
    }
  }
}

export function largest(edit: Edit): ChosenEdit {
  return { edit, index: edit.steps.length - 1 };
}

/** The same for the same steps of the same edits, in whichever order. */
export function keyOf(edits: readonly ChosenEdit[]): string {
  return edits
    .map(({ edit: { field }, index }) => `${field} ${index}`)
    .sort()
    .join();
}
