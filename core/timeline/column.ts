/**
 * One series of a timeline inside one chunk of rows, with the minimum and maximum of every 16 and 256 rows beside it,
 * so that the extremes of any range cost a few dozen reads. Most series do not change for minutes (weights, capacity),
 * so a column stays a single number until its second value arrives: an hour at 100 Hz then fits where 150 MB would.
 */

export const CHUNK_ROWS = 4096;
const FINE_ROWS = 16;
const COARSE_ROWS = 256;

/** Where `Column.extremes` adds what it finds; start with `emptyExtremes()` and reuse. */
export interface Extremes {
  min: number;
  max: number;
  /** Row of the first maximum, counted from the store's first row ever; -1 while nothing was found. */
  maxRow: number;
}

export function emptyExtremes(): Extremes {
  return { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, maxRow: -1 };
}

interface Varying {
  readonly values: Float64Array;
  readonly fineMin: Float64Array;
  readonly fineMax: Float64Array;
  readonly coarseMin: Float64Array;
  readonly coarseMax: Float64Array;
}

export class Column {
  private readonly constant: number;
  private varying: Varying | undefined;

  /** @param constant the value of every row until another one is set. */
  constructor(constant: number) {
    this.constant = constant;
  }

  at(row: number): number {
    return this.varying?.values[row] ?? this.constant;
  }

  /** Sets the next row; rows are set in order, and one that is never set has the constant. */
  set(row: number, value: number): void {
    if (this.varying === undefined) {
      if (value === this.constant) return;
      this.varying = startVarying(this.constant, row);
    }
    record(this.varying, row, value);
  }

  /** Adds the extremes of rows [from, to) to `found`; `firstRow` is this chunk's first row in the store's count. */
  extremes(from: number, to: number, firstRow: number, found: Extremes): void {
    if (from >= to) return;
    if (this.varying === undefined) {
      if (this.constant < found.min) found.min = this.constant;
      if (this.constant > found.max) {
        found.max = this.constant;
        found.maxRow = firstRow + from;
      }
      return;
    }
    const { values, fineMin, fineMax, coarseMin, coarseMax } = this.varying;
    let { min, max } = found;
    let maxBlock = -1;
    let row = from;
    while (row < to) {
      let low: number;
      let high: number;
      let next: number;
      if (row % COARSE_ROWS === 0 && row + COARSE_ROWS <= to) {
        low = coarseMin[row / COARSE_ROWS] ?? 0;
        high = coarseMax[row / COARSE_ROWS] ?? 0;
        next = row + COARSE_ROWS;
      } else if (row % FINE_ROWS === 0 && row + FINE_ROWS <= to) {
        low = fineMin[row / FINE_ROWS] ?? 0;
        high = fineMax[row / FINE_ROWS] ?? 0;
        next = row + FINE_ROWS;
      } else {
        low = high = values[row] ?? 0;
        next = row + 1;
      }
      if (low < min) min = low;
      if (high > max) {
        max = high;
        maxBlock = row;
      }
      row = next;
    }
    found.min = min;
    if (maxBlock < 0) return;
    found.max = max;
    while (values[maxBlock] !== max) maxBlock++;
    found.maxRow = firstRow + maxBlock;
  }
}

function startVarying(constant: number, rows: number): Varying {
  const varying: Varying = {
    values: new Float64Array(CHUNK_ROWS),
    fineMin: new Float64Array(CHUNK_ROWS / FINE_ROWS).fill(Number.POSITIVE_INFINITY),
    fineMax: new Float64Array(CHUNK_ROWS / FINE_ROWS).fill(Number.NEGATIVE_INFINITY),
    coarseMin: new Float64Array(CHUNK_ROWS / COARSE_ROWS).fill(Number.POSITIVE_INFINITY),
    coarseMax: new Float64Array(CHUNK_ROWS / COARSE_ROWS).fill(Number.NEGATIVE_INFINITY),
  };
  for (let row = 0; row < rows; row++) record(varying, row, constant);
  return varying;
}

function record(varying: Varying, row: number, value: number): void {
  varying.values[row] = value;
  widen(varying.fineMin, varying.fineMax, Math.floor(row / FINE_ROWS), value);
  widen(varying.coarseMin, varying.coarseMax, Math.floor(row / COARSE_ROWS), value);
}

function widen(mins: Float64Array, maxs: Float64Array, block: number, value: number): void {
  mins[block] = Math.min(mins[block] ?? value, value);
  maxs[block] = Math.max(maxs[block] ?? value, value);
}
