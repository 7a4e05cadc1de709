/** What a run saved and paid against its measured baseline, in words that claim nothing that was not measured. */
import { capacityOf, type PlacedDevice } from "../../../../core/run/placement.ts";
import { type Bargain, bargainOf } from "../../../../core/run/savings.ts";
import type { Savings } from "../../../../core/run/state.ts";
import { formatBytes, formatSeconds, formatShare } from "../../../../core/units.ts";

/** "peak 9.25 MiB · 196 ms a step, 45.0 ms of it memory actions" */
export function ownWords({ own }: Savings): string {
  if (own.steps === 0)
    return own.peakBytes === 0 ? "nothing measured yet" : `peak so far ${formatBytes(own.peakBytes)}`;
  return `peak ${formatBytes(own.peakBytes)} · ${formatSeconds(own.stepSeconds)} a step, ${formatSeconds(own.memorySeconds)} of it memory actions`;
}

/**
 * "saves 12.8 MiB (58 %) of the peak for 41.0 ms more of memory actions a step; the baseline's step took 187 ms";
 * undefined: no baseline was measured.
 */
export function savedWords({ own, baseline }: Savings): string | undefined {
  if (baseline === undefined) return undefined;
  if (baseline.failure !== undefined) return "the baseline was stopped: there is nothing to compare";
  if (baseline.steps === 0) return "the baseline completed no step: there is nothing to compare";
  const bargain = bargainOf(own, baseline);
  if (bargain === undefined) return "no step of this run is complete: there is nothing to compare yet";
  return `${bytesWords(bargain)} ${paidWords(bargain)}; the baseline's step took ${formatSeconds(baseline.stepSeconds)}`;
}

function bytesWords({ savedBytes, savedShare }: Bargain): string {
  if (savedBytes === 0) return "saves nothing of the peak";
  return savedBytes > 0
    ? `saves ${formatBytes(savedBytes)} (${formatShare(savedShare)}) of the peak`
    : `takes ${formatBytes(-savedBytes)} (${formatShare(-savedShare)}) more than the baseline`;
}

function paidWords({ savedBytes, paidSecondsPerStep: paid }: Bargain): string {
  const time = formatSeconds(Math.abs(paid));
  // Both are saved: there is no price.
  if (savedBytes > 0 && paid < 0) return `and ${time} of memory actions a step`;
  return `for ${time} ${paid < 0 ? "less" : "more"} of memory actions a step`;
}

/** Whether the baseline would have run on the devices' capacities; undefined: not known, or nothing to say. */
export function fitWords({ baseline }: Savings, devices: readonly PlacedDevice[]): string | undefined {
  if (baseline === undefined) return undefined;
  if (baseline.failure !== undefined) return `the baseline stopped: ${baseline.failure.message}`;
  const { peakBytes, devicePeakBytes } = baseline;
  const capacityBytes = capacityOf(devices);
  const over = devices.filter((device) => (devicePeakBytes?.[device.name] ?? 0) > device.capacityBytes);
  if (over.length > 0) {
    const each = over.map((device) => `${formatBytes(device.capacityBytes)} of ${device.name}`);
    return `the baseline does not fit ${each.join(" and ")}: it was measured without a limit`;
  }
  return peakBytes > capacityBytes
    ? `the baseline does not fit ${formatBytes(capacityBytes)}: it was measured without a limit`
    : `the baseline fits ${formatBytes(capacityBytes)} too`;
}
