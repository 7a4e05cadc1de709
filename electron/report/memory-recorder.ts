/**
 * One device's memory over time. It is read when an item is over, which is exact, and between those moments there are the
 * sampler's rows; both lie in one timeline, which keeps an hour.
 */
import { CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../../core/contract/timeline.ts";
import { SCHEDULED_CONSUMERS } from "../../core/schedule/works.ts";
import { TimelineStore } from "../../core/timeline/store.ts";
import type { DeviceObservation, SampleBatch } from "../../native/addon.d.ts";

/** Of Date.now(): a sample so close behind a boundary may be of before it. */
const CLOCK_SECONDS = 0.001;
const NAMES: readonly string[] = SCHEDULED_CONSUMERS;
const COLUMNS = rowColumns({ consumers: SCHEDULED_CONSUMERS });

export class MemoryRecorder {
  readonly #samples = new TimelineStore();
  /** Rows of boundaries that the sampler has not come to yet. */
  #boundaries: Float64Array[] = [];
  /** The newest boundary, and the newest one that is in the timeline. */
  #boundarySeconds = Number.NEGATIVE_INFINITY;
  #writtenSeconds = Number.NEGATIVE_INFINITY;

  /** All of it until now. */
  samples(): TimelineStore {
    this.#append(this.#boundaries.splice(0));
    return this.#samples;
  }

  addSamples(batch: SampleBatch): void {
    const sampled = rowsOf(batch);
    const lastSeconds = sampled.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY;
    const reached = this.#boundaries.filter((row) => timeOf(row) <= lastSeconds);
    this.#boundaries = this.#boundaries.slice(reached.length);
    const boundaries = [this.#writtenSeconds, ...reached.map(timeOf)];
    const certain = sampled.filter((row) => {
      const before = boundaries.findLast((seconds) => seconds <= timeOf(row)) ?? Number.NEGATIVE_INFINITY;
      return timeOf(row) - before > CLOCK_SECONDS;
    });
    this.#writtenSeconds = boundaries.at(-1) ?? this.#writtenSeconds;
    this.#append([...reached, ...certain].sort((one, other) => timeOf(one) - timeOf(other)));
  }

  addBoundary(device: DeviceObservation, timeSeconds: number): void {
    this.#push(rowOf(device, timeSeconds));
  }

  /** Besides what an action left: what its bucket held in between and gave back again. */
  addAction(device: DeviceObservation, startSeconds: number, endSeconds: number, bucketBytes: number): void {
    const after = rowOf(device, endSeconds);
    if (bucketBytes > 0) {
      const during = after.slice();
      during[0] = startSeconds;
      const workspace = columnOf("workspace");
      for (let part = 0; part < CONSUMER_COLUMNS; part++) {
        during[workspace + part] = (during[workspace + part] ?? 0) + bucketBytes;
      }
      this.#push(during);
    }
    this.#push(after);
  }

  /** In order, though clocks tick coarsely. */
  #push(row: Float64Array): void {
    this.#boundarySeconds = Math.max(this.#boundarySeconds, timeOf(row));
    row[0] = this.#boundarySeconds;
    this.#boundaries.push(row);
  }

  #append(rows: readonly Float64Array[]): void {
    if (rows.length === 0) return;
    const samples = new Float64Array(rows.length * COLUMNS);
    for (const [index, row] of rows.entries()) samples.set(row, index * COLUMNS);
    this.#samples.append({ consumers: SCHEDULED_CONSUMERS, rows: rows.length, samples, dropped: 0 });
  }
}

function timeOf(row: Float64Array): number {
  return row[0] ?? 0;
}

function columnOf(consumer: string): number {
  return HEADER_COLUMNS + CONSUMER_COLUMNS * NAMES.indexOf(consumer);
}

/** Samples in the columns of SCHEDULED_CONSUMERS, one array per row. */
function rowsOf({ consumers, rows, samples }: SampleBatch): readonly Float64Array[] {
  const columns = rowColumns({ consumers });
  return Array.from({ length: rows }, (_, index) => {
    const from = samples.subarray(index * columns, (index + 1) * columns);
    const row = new Float64Array(COLUMNS);
    row.set(from.subarray(0, HEADER_COLUMNS));
    for (const [position, consumer] of consumers.entries()) {
      addParts(row, consumer, from.subarray(HEADER_COLUMNS + CONSUMER_COLUMNS * position));
    }
    return row;
  });
}

function rowOf(device: DeviceObservation, timeSeconds: number): Float64Array {
  const row = new Float64Array(COLUMNS);
  const { usedBytes, totalBytes, contextBytes, hostBackupBytes, heldBytes } = device;
  row.set([timeSeconds, usedBytes, totalBytes, contextBytes, hostBackupBytes, heldBytes]);
  for (const region of device.regions) {
    addParts(row, region.consumer, [region.reservedBytes, region.committedBytes, region.usedBytes]);
  }
  return row;
}

/** Regions of one name are one consumer. */
function addParts(row: Float64Array, consumer: string, parts: ArrayLike<number>): void {
  const to = columnOf(consumer);
  if (to < HEADER_COLUMNS) return;
  for (let part = 0; part < CONSUMER_COLUMNS; part++) row[to + part] = (row[to + part] ?? 0) + (parts[part] ?? 0);
}
