/**
 * Sizes as formulas of the batch and the device: so many numbers for each token, for each pair of positions, or once. What a
 * model asks of its device then differs between two batches, or two cards, in these alone, and a tape recorded for one can be
 * read for the other.
 */

/** What there is more of in a larger batch, or on a larger card. */
export interface Units {
  readonly one: 1;
  /** Of the longest row. */
  readonly position: number;
  readonly token: number;
  /** Tokens whose successor is known: all but the last of each row. */
  readonly target: number;
  /** A token and one that it may look at, in its own row. */
  readonly pair: number;
  /** Where the loss is computed in parts: parts between the first one and the last, and targets that are left for the last. */
  readonly laterPart: number;
  readonly rest: number;
  readonly multiprocessor: number;
  readonly cublasByte: number;
}

/** The kind of device the libraries tune for. */
export interface Kernels {
  readonly multiprocessors: number;
  /** What cuBLAS takes for each thread that calls it. */
  readonly cublasBytes: number;
}

interface CountedBatch {
  readonly sequences: number;
  readonly length: number;
  /** Of the loss; left out: all at once. */
  readonly lossRows?: number | undefined;
}

export function unitsOf(batch: CountedBatch, { multiprocessors, cublasBytes }: Kernels): Units {
  const { sequences, length } = batch;
  const targets = sequences * (length - 1);
  const lossRows = batch.lossRows ?? targets;
  const parts = Math.ceil(targets / lossRows);
  return {
    one: 1,
    position: length,
    token: sequences * length,
    target: targets,
    pair: sequences * length * length,
    laterPart: Math.max(0, parts - 2),
    rest: targets - (parts - 1) * lossRows,
    multiprocessor: multiprocessors,
    cublasByte: cublasBytes,
  };
}

export interface Count {
  readonly each: number;
  readonly of: keyof Units;
}

/** Bytes; what is no multiple of one unit is a formula of its own, and 0 is not asked for. */
export type Size = Count | ((units: Units) => number);

export const ONCE: Count = { each: 1, of: "one" };
export const POSITIONS: Count = { each: 1, of: "position" };
export const TOKENS: Count = { each: 1, of: "token" };
export const TARGETS: Count = { each: 1, of: "target" };
export const PAIRS: Count = { each: 1, of: "pair" };
export const LATER_PARTS: Count = { each: 1, of: "laterPart" };
export const REST: Count = { each: 1, of: "rest" };
export const MULTIPROCESSORS: Count = { each: 1, of: "multiprocessor" };
export const CUBLAS_BYTES: Count = { each: 1, of: "cublasByte" };

export function fixed(each: number): Count {
  return { each, of: "one" };
}

export function times({ each, of }: Count, factor: number): Count {
  return { each: each * factor, of };
}

/** With so many more, once. */
export function plus(count: Count, once: number): Size {
  return (units) => amountOf(count, units) + once;
}

/** Rows of so many columns. */
export function rowsOf({ each, of }: Count, columns: Count): Count {
  return { each: each / columns.each, of };
}

/** Columns of so many rows. */
export function columnsOf(count: Count, rows: Count): number {
  return count.each / rows.each;
}

/** Of two counts of the same thing. */
export function larger(one: Count, other: Count): Count {
  return one.each >= other.each ? one : other;
}

export function isSame(one: Count, other: Count): boolean {
  return one.each === other.each && one.of === other.of;
}

export function amountOf(size: Size, units: Units): number {
  return typeof size === "function" ? size(units) : size.each * units[size.of];
}
