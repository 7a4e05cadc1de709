/**
 * The samples of a timeline: rows of time and bytes, appended in batches as the sampler delivers them and read back by
 * row, by time or as extremes of a range. Holds an hour at 100 Hz of 16 consumers by default; beyond that the oldest
 * rows are dropped and counted.
 *
 * What the device uses beyond the consumers is split here, once, so that every reader agrees: chunks the pool holds,
 * then the device's context, then `unaccounted`. The stack therefore sums exactly to what the device says is used —
 * unless consumers claim more than the device says (committed, not yet touched), and then the stack shows their claim.
 */
import { CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../contract/timeline.ts";
import { TidelineError } from "../errors.ts";
import { CHUNK_ROWS, Column, type Extremes } from "./column.ts";

/** A batch as core/contract carries it; the rows may also be the addon's own Float64Array. */
export interface SampleRows {
  readonly consumers: readonly string[];
  readonly rows: number;
  readonly samples: ArrayLike<number>;
  readonly dropped: number;
}

/** Series that every row has; the ones of a consumer come from `TimelineStore.consumerSeries`. */
export const SERIES = {
  /** What the system says is used on the device. */
  used: 0,
  total: 1,
  /** The context as it was measured before the first region. */
  measuredContext: 2,
  /** Host memory that backups take; not on the device. */
  hostBackup: 3,
  /** Chunks in the pool, mapped by nobody. */
  pool: 4,
  /** Derived: the part of what is left that the context explains. */
  context: 5,
  /** Derived: what nobody explains. */
  unaccounted: 6,
  /** Derived: the height of the stack. */
  stack: 7,
  /** Derived: what regions and the pool hold, the part of the stack that a capacity limits. */
  regions: 8,
} as const;
const FIXED_SERIES = 9;

/** Number of a series: one of SERIES or of `consumerSeries`. */
export type Series = number;

export interface ConsumerSeries {
  readonly reserved: Series;
  readonly committed: Series;
  readonly used: Series;
}

interface Chunk {
  readonly times: Float64Array;
  readonly columns: Column[];
  /** Rows in use. */
  rows: number;
}

export interface TimelineStoreOptions {
  /** Rows kept at least; the default is an hour at 100 Hz. Whole chunks of 4096 rows are dropped. */
  readonly limitRows?: number;
  /** A longer silence than this is a gap (sampling was off), not a value that lasted. Infinity for planned timelines. */
  readonly gapSeconds?: number;
}

export class TimelineStore {
  readonly gapSeconds: number;
  /** Grows with every change: compare it to know whether to draw again. */
  revision = 0;
  /** Samples that the sampler lost to a full ring. */
  lostSamples = 0;
  /** First row that is still kept, counted from the first row ever. */
  firstRow = 0;
  /** One past the newest row. */
  endRow = 0;
  /** Time of the first row ever, kept or not: the zero of relative times. */
  originSeconds: number | undefined;

  private readonly limitRows: number;
  private readonly chunks: Chunk[] = [];
  private readonly names: string[] = [];

  constructor(options: TimelineStoreOptions = {}) {
    this.limitRows = options.limitRows ?? 360_000;
    this.gapSeconds = options.gapSeconds ?? 1;
  }

  /** Consumers in the order in which they first appeared. */
  get consumers(): readonly string[] {
    return this.names;
  }

  get rows(): number {
    return this.endRow - this.firstRow;
  }

  /** Rows forgotten because the store was full. */
  get droppedRows(): number {
    return this.firstRow;
  }

  get firstSeconds(): number | undefined {
    return this.rows > 0 ? this.timeAt(this.firstRow) : undefined;
  }

  get lastSeconds(): number | undefined {
    return this.rows > 0 ? this.timeAt(this.endRow - 1) : undefined;
  }

  /** The series of a consumer of `consumers`; undefined for names that never appeared. */
  consumerSeries(consumer: string): ConsumerSeries | undefined {
    const index = this.names.indexOf(consumer);
    if (index < 0) return undefined;
    const reserved = FIXED_SERIES + CONSUMER_COLUMNS * index;
    return { reserved, committed: reserved + 1, used: reserved + 2 };
  }

  /**
   * Adds rows. A time before the newest one (the system's clock was set back) is taken as the newest.
   * @throws TidelineError `bad_message` when the batch's shape is not what it says.
   */
  append(batch: SampleRows): void {
    const stride = rowColumns(batch);
    if (batch.samples.length !== batch.rows * stride) {
      throw new TidelineError({
        code: "bad_message",
        message: `a batch of ${batch.rows} samples of ${batch.consumers.length} consumers has ${batch.rows * stride} numbers, not ${batch.samples.length}`,
      });
    }
    const slots = batch.consumers.map((consumer) => this.slotOf(consumer));
    const absent = this.names.map((_, slot) => slot).filter((slot) => !slots.includes(slot));
    for (let row = 0; row < batch.rows; row++) this.appendRow(batch.samples, row * stride, slots, absent);
    this.lostSamples += batch.dropped;
    this.revision++;
  }

  timeAt(row: number): number {
    const chunk = this.chunkOf(row);
    return chunk?.times[(row - this.firstRow) % CHUNK_ROWS] ?? Number.NaN;
  }

  valueAt(series: Series, row: number): number {
    return this.chunkOf(row)?.columns[series]?.at((row - this.firstRow) % CHUNK_ROWS) ?? 0;
  }

  /** First row at or after a time; `endRow` when there is none. */
  rowAtOrAfter(timeSeconds: number): number {
    let low = this.firstRow;
    let high = this.endRow;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.timeAt(middle) < timeSeconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The row whose values hold at a time; undefined before the first row, after the last one, and inside a gap. */
  rowHolding(timeSeconds: number): number | undefined {
    const next = this.rowAtOrAfter(timeSeconds);
    if (next < this.endRow && this.timeAt(next) === timeSeconds) return next;
    if (next === this.firstRow || next === this.endRow) return undefined;
    return this.isGapBefore(next) ? undefined : next - 1;
  }

  /** Whether sampling was off between a row and the one before it. */
  isGapBefore(row: number): boolean {
    return row > this.firstRow && this.timeAt(row) - this.timeAt(row - 1) > this.gapSeconds;
  }

  /** Adds the extremes of a series over rows [from, to) to `found`. */
  extremes(series: Series, from: number, to: number, found: Extremes): void {
    let row = Math.max(from, this.firstRow);
    const end = Math.min(to, this.endRow);
    while (row < end) {
      const inStore = row - this.firstRow;
      const inChunk = inStore % CHUNK_ROWS;
      const chunk = this.chunks[Math.floor(inStore / CHUNK_ROWS)];
      const count = Math.min(CHUNK_ROWS - inChunk, end - row);
      const column = chunk?.columns[series] ?? ABSENT;
      column.extremes(inChunk, inChunk + count, row - inChunk, found);
      row += count;
    }
  }

  private chunkOf(row: number): Chunk | undefined {
    return this.chunks[Math.floor((row - this.firstRow) / CHUNK_ROWS)];
  }

  private slotOf(consumer: string): number {
    const known = this.names.indexOf(consumer);
    return known >= 0 ? known : this.names.push(consumer) - 1;
  }

  private appendRow(samples: ArrayLike<number>, at: number, slots: readonly number[], absent: readonly number[]): void {
    const chunk = this.openChunk();
    const row = chunk.rows++;
    const used = samples[at + 1] ?? 0;
    const context = samples[at + 3] ?? 0;
    const pool = samples[at + 5] ?? 0;

    const time = Math.max(samples[at] ?? 0, this.lastSeconds ?? Number.NEGATIVE_INFINITY);
    this.originSeconds ??= time;
    chunk.times[row] = time;
    let claimed = pool;
    slots.forEach((slot, position) => {
      const from = at + HEADER_COLUMNS + CONSUMER_COLUMNS * position;
      const to = FIXED_SERIES + CONSUMER_COLUMNS * slot;
      for (let part = 0; part < CONSUMER_COLUMNS; part++) setCell(chunk, to + part, row, samples[from + part] ?? 0);
      claimed += samples[from + 1] ?? 0;
    });
    for (const slot of absent) {
      const to = FIXED_SERIES + CONSUMER_COLUMNS * slot;
      for (let part = 0; part < CONSUMER_COLUMNS; part++) setCell(chunk, to + part, row, 0);
    }
    const rest = Math.max(0, used - claimed);
    const contextShare = Math.min(context, rest);
    setCell(chunk, SERIES.used, row, used);
    setCell(chunk, SERIES.total, row, samples[at + 2] ?? 0);
    setCell(chunk, SERIES.measuredContext, row, context);
    setCell(chunk, SERIES.hostBackup, row, samples[at + 4] ?? 0);
    setCell(chunk, SERIES.pool, row, pool);
    setCell(chunk, SERIES.context, row, contextShare);
    setCell(chunk, SERIES.unaccounted, row, rest - contextShare);
    setCell(chunk, SERIES.stack, row, claimed + rest);
    setCell(chunk, SERIES.regions, row, claimed);
    this.endRow++;
  }

  private openChunk(): Chunk {
    const last = this.chunks.at(-1);
    if (last !== undefined && last.rows < CHUNK_ROWS) return last;
    if (this.rows >= this.limitRows + CHUNK_ROWS) {
      this.chunks.shift();
      this.firstRow += CHUNK_ROWS;
    }
    const chunk: Chunk = { times: new Float64Array(CHUNK_ROWS), columns: [], rows: 0 };
    this.chunks.push(chunk);
    return chunk;
  }
}

/** A consumer that a chunk never saw. */
const ABSENT = new Column(0);

function setCell(chunk: Chunk, series: Series, row: number, value: number): void {
  let column = chunk.columns[series];
  if (column === undefined) {
    column = new Column(row === 0 ? value : 0);
    chunk.columns[series] = column;
  }
  column.set(row, value);
}
