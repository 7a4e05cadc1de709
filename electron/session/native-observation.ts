/**
 * The addon's observations in the contract's shapes.
 */
import type { CheckpointSummary, ConsumerState, DeviceChoice, OpenDevice } from "../../core/contract/state.ts";
import type { DeviceObservation, RegionObservation, TidelineAddon } from "../../native/addon.d.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** The devices there are, with why one cannot be used. */
export function deviceChoices(addon: TidelineAddon): DeviceChoice[] {
  return addon.probeDevices().map(({ name, description, totalBytes, freeBytes, problem }) => ({
    name,
    description,
    totalBytes,
    freeBytes,
    ...(problem === undefined ? {} : { problem }),
  }));
}

export function openDevice({ regions, ...device }: DeviceObservation): OpenDevice {
  return { device, consumers: consumerStates(regions) };
}

/**
 * One state per consumer. While a checkpoint is being replaced the engine's old and new regions share their names: the
 * bytes are summed, and the region that is newer says the rest.
 */
function consumerStates(regions: readonly RegionObservation[]): ConsumerState[] {
  const states = new Map<string, ConsumerState>();
  for (const { address: _, ...region } of regions) {
    const before = states.get(region.consumer);
    states.set(region.consumer, {
      ...region,
      reservedBytes: region.reservedBytes + (before?.reservedBytes ?? 0),
      committedBytes: region.committedBytes + (before?.committedBytes ?? 0),
      usedBytes: region.usedBytes + (before?.usedBytes ?? 0),
    });
  }
  return [...states.values()];
}

/** @param weightBytes of the fused layout on the device. */
export function checkpointSummary(checkpoint: Checkpoint, weightBytes: number): CheckpointSummary {
  const { path, name, config, parameters, dtype, hasTokenizer } = checkpoint;
  return {
    path,
    name,
    family: config.family,
    parameters,
    dtype,
    weightBytes,
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositions,
    hasTokenizer,
  };
}
