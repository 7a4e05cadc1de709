/** What a run saved and paid against its measured baseline, in words that claim nothing that was not measured. */
import type { Measurement, Savings } from "../../../../core/run/state.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";

/** "peak 9.25 MiB · 196 ms a step, 45.0 ms of it memory actions" */
export function ownWords({ own }: Savings): string {
  if (own.steps === 0)
    return own.peakBytes === 0 ? "nothing measured yet" : `peak so far ${formatBytes(own.peakBytes)}`;
  return `peak ${formatBytes(own.peakBytes)} · ${formatSeconds(own.stepSeconds)} a step, ${formatSeconds(own.memorySeconds)} of it memory actions`;
}

/** "saves 12.8 MiB (58 %) of the peak; 121 ms a step slower"; undefined: there is nothing to compare. */
export function savedWords({ own, baseline }: Savings): string | undefined {
  if (baseline === undefined) return undefined;
  if (own.steps === 0) return "no step of this run is complete: there is nothing to compare yet";
  if (baseline.steps === 0) return "the baseline completed no step: there is nothing to compare";
  return `${bytesWords(own, baseline)}; ${secondsWords(own, baseline)}`;
}

function bytesWords(own: Measurement, baseline: Measurement): string {
  const savedBytes = baseline.peakBytes - own.peakBytes;
  if (savedBytes === 0) return "as high a peak as the baseline";
  const percent = Math.round((100 * Math.abs(savedBytes)) / Math.max(1, baseline.peakBytes));
  return savedBytes > 0
    ? `saves ${formatBytes(savedBytes)} (${percent} %) of the peak`
    : `takes ${formatBytes(-savedBytes)} (${percent} %) more than the baseline`;
}

function secondsWords(own: Measurement, baseline: Measurement): string {
  const paidSeconds = own.stepSeconds - baseline.stepSeconds;
  return `${formatSeconds(Math.abs(paidSeconds))} a step ${paidSeconds >= 0 ? "slower" : "faster"}`;
}

/** Whether the baseline would have run on the capacity; undefined: not known, or nothing to say. */
export function fitWords({ baseline }: Savings, capacityBytes: number): string | undefined {
  if (baseline === undefined) return undefined;
  if (baseline.failure !== undefined) return `the baseline stopped: ${baseline.failure.message}`;
  return baseline.peakBytes > capacityBytes
    ? `the baseline does not fit ${formatBytes(capacityBytes)}: it was measured without a limit`
    : `the baseline fits ${formatBytes(capacityBytes)} too`;
}
