/**
 * What the session remembers for a window that opens late or reloads: samples of the last hour, every action, the
 * latest generations.
 */
import {
  type ActionRecord,
  CONSUMER_COLUMNS,
  type GenerationState,
  HEADER_COLUMNS,
  rowColumns,
  type SampleBatch,
} from "../../core/contract/timeline.ts";
import { type EndedRun, withEndedRun } from "../../core/run/ended-runs.ts";
import type { SampleBatch as NativeBatch } from "../../native/addon.d.ts";
import { SampleHistory } from "./sample-history.ts";

export interface RecorderLimits {
  /** An hour at 100 Hz. */
  readonly rows?: number;
  readonly actions?: number;
  readonly generations?: number;
}

export class Recorder {
  readonly #limits: Required<RecorderLimits>;
  /** By device; under `undefined` the engine's. */
  readonly #samples = new Map<string | undefined, SampleHistory>();
  readonly #actions: ActionRecord[] = [];
  readonly #generations = new Map<number, GenerationState>();
  #endedRuns: readonly EndedRun[] = [];
  #dropped = 0;

  constructor({ rows = 360_000, actions = 20_000, generations = 200 }: RecorderLimits = {}) {
    this.#limits = { rows, actions, generations };
  }

  /** Samples that the sampler lost, in all. */
  get droppedSamples(): number {
    return this.#dropped;
  }

  /** @param otherDevice where it is not the engine's. */
  addSamples(batch: NativeBatch, otherDevice?: string): void {
    this.#dropped += batch.dropped;
    const history = this.#samples.get(otherDevice) ?? new SampleHistory(this.#limits.rows);
    this.#samples.set(otherDevice, history);
    history.add(batch);
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

  /** Of each device the newest `maxRows` samples not older than `sinceSeconds`, oldest first, with everything else since. */
  history(sinceSeconds: number, maxRows: number) {
    return {
      batches: [...this.#samples].flatMap(([device, samples]) =>
        samples
          .since(sinceSeconds, maxRows)
          .map((batch): SampleBatch => (device === undefined ? batch : { ...batch, device })),
      ),
      actions: this.#actions.filter(({ timeSeconds }) => timeSeconds >= sinceSeconds),
      generations: [...this.#generations.values()].filter(
        ({ finishedSeconds }) => finishedSeconds === undefined || finishedSeconds >= sinceSeconds,
      ),
      endedRuns: this.#endedRuns
        .map((run) => run.filter(({ endSeconds }) => endSeconds >= sinceSeconds))
        .filter((run) => run.length > 0),
    };
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
