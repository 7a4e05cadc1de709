/**
 * The samples of this session. The store mutates outside React (a hundred rows a second do not belong in a reducer);
 * `revision` is what components and the drawing loop compare.
 */
import { create } from "zustand";
import { rowColumns, type SampleBatch } from "../../core/contract.ts";
import { TimelineStore } from "../../core/timeline/store.ts";

interface TimelineState {
  readonly store: TimelineStore;
  readonly revision: number;
}

export const useTimeline = create<TimelineState>(() => ({ store: new TimelineStore(), revision: 0 }));

/** Starts over with what the session kept. */
export function replaceSamples(batches: readonly SampleBatch[]): void {
  const store = new TimelineStore();
  for (const batch of batches) store.append(batch);
  useTimeline.setState({ store, revision: store.revision });
}

/** Adds a batch as it arrives; rows that the store already has (they came with the history) are left out. */
export function addSamples(batch: SampleBatch): void {
  const { store } = useTimeline.getState();
  const fresh = rowsAfter(batch, store.lastSeconds);
  if (fresh.rows === 0 && fresh.dropped === 0) return;
  store.append(fresh);
  useTimeline.setState({ revision: store.revision });
}

/** The rows of a batch that are newer than a time; all of them when there is no time. */
export function rowsAfter(batch: SampleBatch, seconds: number | undefined): SampleBatch {
  if (seconds === undefined) return batch;
  const stride = rowColumns(batch);
  let known = 0;
  while (known < batch.rows && (batch.samples[known * stride] ?? 0) <= seconds) known++;
  return known === 0 ? batch : { ...batch, rows: batch.rows - known, samples: batch.samples.slice(known * stride) };
}
