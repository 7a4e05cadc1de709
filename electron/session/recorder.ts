/**
 * What the session remembers for a window that opens late or reloads: samples of the last hour, every action, the
 * latest generations. Samples are kept as the sampler lays them out, in chunks that share a list of consumers.
 */
import {
  type ActionRecord,
  CONSUMER_COLUMNS,
  type GenerationState,
  HEADER_COLUMNS,
  rowColumns,
  type SampleBatch,
} from "../../core/contract.ts";
import { type EndedRun, withEndedRun } from "../../core/run/ended-runs.ts";
import type { SampleBatch as NativeBatch } from "../../native/addon.d.ts";

const CHUNK_ROWS = 4096;

export interface RecorderLimits {
  /** An hour at 100 Hz. */
  readonly rows?: number;
  readonly actions?: number;
  readonly generations?: number;
}

interface Chunk {
  readonly consumers: readonly string[];
  readonly columns: number;
  readonly samples: Float64Array;
  rows: number;
}

export class Recorder {
  readonly #limits: Required<RecorderLimits>;
  readonly #chunks: Chunk[] = [];
  readonly #actions: ActionRecord[] = [];
  readonly #generations = new Map<number, GenerationState>();
  #endedRuns: readonly EndedRun[] = [];
  #rows = 0;
  #dropped = 0;

  constructor({ rows = 360_000, actions = 20_000, generations = 200 }: RecorderLimits = {}) {
    this.#limits = { rows, actions, generations };
  }

  /** Samples that the sampler lost, in all. */
  get droppedSamples(): number {
    return this.#dropped;
  }

  addSamples(batch: NativeBatch): void {
    this.#dropped += batch.dropped;
    const columns = rowColumns(batch);
    for (let row = 0; row < batch.rows; ) {
      const chunk = this.#openChunk(batch.consumers, columns);
      const taken = Math.min(batch.rows - row, CHUNK_ROWS - chunk.rows);
      chunk.samples.set(batch.samples.subarray(row * columns, (row + taken) * columns), chunk.rows * columns);
      chunk.rows += taken;
      this.#rows += taken;
      row += taken;
    }
    // Whole chunks go, so at least the limit is always kept.
    while (this.#rows - (this.#chunks[0]?.rows ?? 0) >= this.#limits.rows)
      this.#rows -= this.#chunks.shift()?.rows ?? 0;
  }

  addAction(action: ActionRecord): void {
    this.#actions.push(action);
    if (this.#actions.length > this.#limits.actions) this.#actions.shift();
  }

  /** Adds a generation or replaces what is known of it. */
  putGeneration(generation: GenerationState): void {
    this.#generations.set(generation.id, generation);
    const oldest = this.#generations.keys().next();
    if (this.#generations.size > this.#limits.generations && !oldest.done) this.#generations.delete(oldest.value);
  }

  addEndedRun(run: EndedRun): void {
    this.#endedRuns = withEndedRun(this.#endedRuns, run);
  }

  /** The newest `maxRows` samples not older than `sinceSeconds`, oldest first, with everything else since. */
  history(sinceSeconds: number, maxRows: number) {
    const batches: SampleBatch[] = [];
    let wanted = maxRows;
    for (let index = this.#chunks.length - 1; index >= 0 && wanted > 0; index--) {
      const chunk = this.#chunks[index];
      if (chunk === undefined) break;
      const first = Math.max(firstRowSince(chunk, sinceSeconds), chunk.rows - wanted);
      if (first === chunk.rows) break;
      batches.unshift({
        consumers: [...chunk.consumers],
        rows: chunk.rows - first,
        samples: Array.from(chunk.samples.subarray(first * chunk.columns, chunk.rows * chunk.columns)),
        dropped: 0,
      });
      wanted -= chunk.rows - first;
    }
    return {
      batches,
      actions: this.#actions.filter(({ timeSeconds }) => timeSeconds >= sinceSeconds),
      generations: [...this.#generations.values()].filter(
        ({ finishedSeconds }) => finishedSeconds === undefined || finishedSeconds >= sinceSeconds,
      ),
      endedRuns: this.#endedRuns
        .map((run) => run.filter(({ endSeconds }) => endSeconds >= sinceSeconds))
        .filter((run) => run.length > 0),
    };
  }

  #openChunk(consumers: readonly string[], columns: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last && last.rows < CHUNK_ROWS && sameNames(last.consumers, consumers)) return last;
    const chunk = { consumers, columns, samples: new Float64Array(CHUNK_ROWS * columns), rows: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
}

/**
 * A batch in which every consumer has one place: while a checkpoint is being replaced, the engine's old and new regions
 * are both there under one name, and what the timeline wants is their sum.
 */
export function mergeConsumers(batch: NativeBatch): NativeBatch {
  const consumers = [...new Set(batch.consumers)];
  if (consumers.length === batch.consumers.length) return batch;
  const from = rowColumns(batch);
  const to = rowColumns({ consumers });
  const samples = new Float64Array(batch.rows * to);
  for (let row = 0; row < batch.rows; row++) {
    samples.set(batch.samples.subarray(row * from, row * from + HEADER_COLUMNS), row * to);
    batch.consumers.forEach((name, position) => {
      for (let part = 0; part < CONSUMER_COLUMNS; part++) {
        const target = row * to + HEADER_COLUMNS + CONSUMER_COLUMNS * consumers.indexOf(name) + part;
        const value = batch.samples[row * from + HEADER_COLUMNS + CONSUMER_COLUMNS * position + part] ?? 0;
        samples[target] = (samples[target] ?? 0) + value;
      }
    });
  }
  return { consumers, rows: batch.rows, samples, dropped: batch.dropped };
}

function firstRowSince(chunk: Chunk, sinceSeconds: number): number {
  let low = 0;
  let high = chunk.rows;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunk.samples[middle * chunk.columns] ?? 0) < sinceSeconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, index) => name === b[index]));
}
