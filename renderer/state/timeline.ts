/**
 * The samples of this session, device by device; one of them is shown. The store mutates outside React (a hundred rows a second do not belong in a reducer);
 * `revision` is what components and the drawing loop compare.
 */
import { create } from "zustand";
import { rowColumns, type SampleBatch } from "../../core/contract/timeline.ts";
import { TimelineStore } from "../../core/timeline/store.ts";

interface TimelineState {
  /** The device that is shown: one of the session's others; undefined: the engine's. */
  readonly device: string | undefined;
  /** Its samples. */
  readonly store: TimelineStore;
  readonly revision: number;
}

/** As batches name their devices. */
const stores = new Map<string | undefined, TimelineStore>();

export const useTimeline = create<TimelineState>(() => shownAs(undefined));

/** Of a device as batches name it. */
export function samplesOf(device: string | undefined): TimelineStore {
  const store = stores.get(device) ?? new TimelineStore();
  stores.set(device, store);
  return store;
}

function shownAs(device: string | undefined): TimelineState {
  const store = samplesOf(device);
  return { device, store, revision: store.revision };
}

export function showDevice(device: string | undefined): void {
  if (useTimeline.getState().device !== device) useTimeline.setState(shownAs(device));
}

/** Starts over with what the session kept. */
export function replaceSamples(batches: readonly SampleBatch[]): void {
  stores.clear();
  for (const batch of batches) samplesOf(batch.device).append(batch);
  useTimeline.setState(shownAs(useTimeline.getState().device));
}

/** Adds a batch as it arrives; rows that its store already has (they came with the history) are left out. */
export function addSamples(batch: SampleBatch): void {
  const store = samplesOf(batch.device);
  const fresh = rowsAfter(batch, store.lastSeconds);
  if (fresh.rows === 0 && fresh.dropped === 0) return;
  store.append(fresh);
  if (useTimeline.getState().store === store) useTimeline.setState({ revision: store.revision });
}

/** The rows of a batch that are newer than a time; all of them when there is no time. */
export function rowsAfter(batch: SampleBatch, seconds: number | undefined): SampleBatch {
  if (seconds === undefined) return batch;
  const stride = rowColumns(batch);
  let known = 0;
  while (known < batch.rows && (batch.samples[known * stride] ?? 0) <= seconds) known++;
  return known === 0 ? batch : { ...batch, rows: batch.rows - known, samples: batch.samples.slice(known * stride) };
}
