/** Where a number comes from. Every figure of a prediction can be asked, and what is not established is said to be so. */

export const PROVENANCES = [
  /** Follows from the model's shape and the definitions: nothing to argue about. */
  "identity",
  /** Read off a device. */
  "measured",
  /** A rule whose constants were fitted to measurements. */
  "calibrated",
  /** Arithmetic that agrees with what was seen, without a proven cause. */
  "inferred",
  /** General knowledge, or a figure carried over from another device. */
  "assumption",
  /** Somebody set it in the plan. */
  "chosen",
] as const;
export type Provenance = (typeof PROVENANCES)[number];

export interface Figure {
  readonly value: number;
  readonly provenance: Provenance;
  /** On what it was measured, with what it was calibrated, why it is assumed. */
  readonly source: string;
}

/** A part of a consumer's bytes, or of an action's seconds, with its reason. */
export interface Term {
  readonly cause: string;
  readonly amount: number;
  readonly provenance: Provenance;
  readonly source?: string;
}

export function sumOf(terms: readonly Term[]): number {
  let sum = 0;
  for (const { amount } of terms) sum += amount;
  return sum;
}

/** Each term divided among so many. */
export function shared(terms: readonly Term[], among: number): readonly Term[] {
  return among === 1 ? terms : terms.map((term) => ({ ...term, amount: Math.ceil(term.amount / among) }));
}
