/** What `tideline run` prints while it runs and in the end: for people, or one JSON object per line. */
import { changeWords, type QuantisedRole } from "../../../core/run/quantisation.ts";
import type { StepRecord } from "../../../core/run/records.ts";
import { bargainOf } from "../../../core/run/savings.ts";
import type { LargestFit, Measurement } from "../../../core/run/state.ts";
import type { Schedule } from "../../../core/schedule/schedule.ts";
import { formatBytes } from "../../../core/units.ts";
import type { Outcome } from "./execute.ts";

export interface Printer {
  begin(schedule: Schedule): void;
  quantisation(roles: readonly QuantisedRole[]): void;
  step(step: StepRecord): void;
  summary(outcome: Outcome, baseline: Outcome | undefined): void;
  report(file: string): void;
}

export const TEXT: Printer = {
  begin: ({ name }) => {
    process.stdout.write(`schedule  ${name}\n`);
  },
  quantisation: (roles) => {
    for (const { role, floatBytes, int8Bytes, changes } of roles) {
      const bytes = `${formatBytes(floatBytes)} to ${formatBytes(int8Bytes)}`;
      process.stdout.write(`int8 ${role}  ${[bytes, ...changes.map(changeWords)].join("; ")}\n`);
    }
  },
  step: ({ step, statistics: seen, peakBytes, workSeconds, memorySeconds }) => {
    const learned = seen && [
      `reward ${seen.reward.toFixed(3)}`,
      `kl ${seen.kl.toFixed(4)}`,
      `policy ${seen.policyLoss.toFixed(4)}`,
      `value ${seen.valueLoss.toFixed(4)}`,
      `entropy ${seen.entropy.toFixed(3)}`,
    ];
    const took = [
      `peak ${formatBytes(peakBytes)}`,
      `work ${workSeconds.toFixed(2)} s`,
      `memory ${memorySeconds.toFixed(3)} s`,
    ];
    process.stdout.write(`${[`step ${String(step + 1).padStart(3)}`, ...(learned ?? []), ...took].join("  ")}\n`);
  },
  summary: (outcome, baseline) => {
    const { measurement, ending, largest, saved, saveFailure } = outcome;
    const lines = [measurementText(measurement)];
    if (baseline !== undefined) lines.push(`baseline: ${measurementText(baseline.measurement)}`);
    const bargain = bargainOf(measurement, baseline?.measurement);
    if (bargain !== undefined) {
      const { savedBytes, paidSecondsPerStep } = bargain;
      const paid = `${paidSecondsPerStep.toFixed(3)} s more of memory actions per step`;
      lines.push(`saved ${formatBytes(savedBytes)} of the baseline's peak for ${paid}`);
    }
    const failure = baseline?.measurement.failure;
    if (failure !== undefined) lines.push(`baseline stopped: ${failure.message}`);
    if (largest !== undefined) lines.push(largestText(largest, baseline?.largest));
    if (saved !== undefined) lines.push(`policy saved to ${saved}`);
    if (saveFailure !== undefined) lines.push(`policy not saved: ${saveFailure.message}`);
    process.stdout.write(`${lines.join("\n")}\n`);
    for (const { consumer, bytes } of (ending.kind === "failed" && ending.error.holders) || []) {
      process.stderr.write(`  ${consumer.padEnd(20)}${formatBytes(bytes)}\n`);
    }
  },
  report: (file) => {
    process.stdout.write(`report written to ${file}\n`);
  },
};

export const JSON_LINES: Printer = {
  begin: () => {},
  quantisation: (roles) => {
    for (const role of roles) writeLine({ type: "int8", ...role });
  },
  step: (step) => writeLine({ type: "step", ...step }),
  summary: (outcome, baseline) => {
    writeLine({ type: "summary", ...summaryOf(outcome), ...(baseline && { baseline: summaryOf(baseline) }) });
  },
  report: () => {},
};

function summaryOf({ schedule, measurement, largest, saved, saveFailure }: Outcome) {
  return { schedule: schedule.name, ...measurement, largest, saved, saveFailure };
}

function writeLine(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function measurementText({ steps, peakBytes, devicePeakBytes = {}, stepSeconds }: Measurement): string {
  const each = Object.entries(devicePeakBytes).map(([device, bytes]) => `${device} ${formatBytes(bytes)}`);
  const peak = `peak ${formatBytes(peakBytes)}${each.length > 0 ? ` (${each.join(", ")})` : ""}`;
  return `${steps} ${steps === 1 ? "step" : "steps"}, ${peak}, ${stepSeconds.toFixed(3)} s per step`;
}

/** Each grown alone, with the other as it is. */
function largestText(largest: LargestFit, baseline: LargestFit | undefined): string {
  const cache = ({ kvCacheBytes, kvCacheTokens }: LargestFit) =>
    kvCacheTokens === 0 ? "none" : `${formatBytes(kvCacheBytes)} (${kvCacheTokens.toLocaleString("en")} tokens)`;
  const batch = ({ microBatch }: LargestFit) => (microBatch === 0 ? "none" : microBatch.toLocaleString("en"));
  const instead = (other: string | undefined) => (other === undefined ? "" : ` instead of ${other}`);
  const kvCache = `a KV cache of ${cache(largest)}${instead(baseline && cache(baseline))}`;
  const microBatch = `a micro-batch of ${batch(largest)}${instead(baseline && batch(baseline))}`;
  return `would fit: ${kvCache}, or ${microBatch}`;
}
