/**
 * Samples of one device that are kept, oldest dropped first: as the sampler lays them out, in chunks that share a list of
 * consumers.
 */
import { rowColumns, type SampleBatch } from "../../core/contract/timeline.ts";
import type { SampleBatch as NativeBatch } from "../../native/addon.d.ts";

const CHUNK_ROWS = 4096;

interface Chunk {
  readonly consumers: readonly string[];
  readonly columns: number;
  readonly samples: Float64Array;
  rows: number;
}

export class SampleHistory {
  readonly #limitRows: number;
  readonly #chunks: Chunk[] = [];
  #rows = 0;

  constructor(limitRows: number) {
    this.#limitRows = limitRows;
  }

  add(batch: NativeBatch): void {
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
    while (this.#rows - (this.#chunks[0]?.rows ?? 0) >= this.#limitRows) this.#rows -= this.#chunks.shift()?.rows ?? 0;
  }

  /** The newest `maxRows` samples not older than `sinceSeconds`, oldest first. */
  since(sinceSeconds: number, maxRows: number): SampleBatch[] {
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
    return batches;
  }

  #openChunk(consumers: readonly string[], columns: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last && last.rows < CHUNK_ROWS && sameNames(last.consumers, consumers)) return last;
    const chunk = { consumers, columns, samples: new Float64Array(CHUNK_ROWS * columns), rows: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }
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
