/**
 * What came out of a run, in one glance: what was saved and paid against the baseline, whether both learned the same, and
 * the sentences that say so. The command line's summary, its JSON and the report all take their figures from here.
 */
import { capacityOf, type PlacedDevice } from "../run/placement.ts";
import { bargainOf } from "../run/savings.ts";
import type { Measurement } from "../run/state.ts";
import { formatBytes, formatSeconds, formatShare } from "../units.ts";
import type { Ending, ReportedRun, RunReport } from "./report.ts";

/** Whether every number of every step is equal to the last bit; undefined where no step can be compared. */
export function learnedTheSame(own: ReportedRun, baseline: ReportedRun): boolean | undefined {
  const pairs = own.steps.flatMap(({ step, statistics }) => {
    const other = baseline.steps.find((candidate) => candidate.step === step)?.statistics;
    return statistics === undefined || other === undefined ? [] : [[statistics, other] as const];
  });
  if (pairs.length === 0) return undefined;
  return pairs.every(([one, other]) => JSON.stringify(one) === JSON.stringify(other));
}

/** The reward of the first step that is kept and of the last one; undefined for a run that trained nothing. */
export function rewardsOf({ steps }: ReportedRun): { readonly first: number; readonly last: number } | undefined {
  const first = steps.find(({ statistics }) => statistics !== undefined)?.statistics;
  const last = steps.findLast(({ statistics }) => statistics !== undefined)?.statistics;
  return first && last && { first: first.reward, last: last.reward };
}

/** The report's first lines. */
export function verdictOf(report: RunReport): readonly string[] {
  const { own, baseline, ending, settings } = report;
  return [
    endingOf(ending, own.measurement, settings.askedSteps),
    tookOf(own.measurement, settings.devices),
    baseline && comparisonOf(own, baseline),
    learningOf(own, baseline),
  ].filter((sentence) => sentence !== undefined);
}

function endingOf(ending: Ending, { steps }: Measurement, askedSteps: number): string {
  switch (ending.kind) {
    case "completed":
      return `${stepsText(steps)} completed.`;
    case "interrupted":
      return `Interrupted after ${steps} of ${stepsText(askedSteps)}.`;
    case "failed":
      return `Stopped after ${steps} of ${stepsText(askedSteps)}, in ${ending.place}: ${ending.error.message}.`;
  }
}

function tookOf(measurement: Measurement, devices: readonly PlacedDevice[]): string {
  const { steps, stepSeconds, memorySeconds } = measurement;
  const peak = peakText(measurement, devices);
  if (steps === 0) return `${peak}.`;
  return `${peak}; a step took ${formatSeconds(stepSeconds)}, of which memory actions ${formatSeconds(memorySeconds)}.`;
}

function peakText({ peakBytes, devicePeakBytes }: Measurement, devices: readonly PlacedDevice[]): string {
  if (devicePeakBytes === undefined) {
    return `The peak was ${formatBytes(peakBytes)} of a capacity of ${formatBytes(capacityOf(devices))}`;
  }
  const each = devices.map(
    ({ name, capacityBytes }) =>
      `${formatBytes(devicePeakBytes[name] ?? 0)} of ${formatBytes(capacityBytes)} on ${name}`,
  );
  return `The peaks were ${each.join(" and ")}`;
}

function comparisonOf(own: ReportedRun, baseline: ReportedRun): string | undefined {
  const { failure, steps, peakBytes, stepSeconds } = baseline.measurement;
  if (failure !== undefined) return `With everything resident the same workload stopped: ${failure.message}.`;
  if (steps === 0) return undefined;
  const bargain = bargainOf(own.measurement, baseline.measurement);
  if (bargain === undefined)
    return `With everything resident and no limit of memory it takes ${formatBytes(peakBytes)}.`;
  const { savedBytes, savedShare, paidSecondsPerStep } = bargain;
  const saved =
    savedBytes >= 0
      ? `${formatBytes(savedBytes)} (${formatShare(savedShare)}) were saved`
      : `${formatBytes(-savedBytes)} (${formatShare(-savedShare)}) more were taken`;
  const paid = `${formatSeconds(Math.abs(paidSecondsPerStep))} ${paidSecondsPerStep < 0 ? "less" : "more"}`;
  return (
    `With everything resident it was ${formatBytes(peakBytes)}, in ${formatSeconds(stepSeconds)} per step: ` +
    `${saved}, for ${paid} of memory actions per step.`
  );
}

function learningOf(own: ReportedRun, baseline: ReportedRun | undefined): string | undefined {
  const rewards = rewardsOf(own);
  if (rewards === undefined) return undefined;
  const moved = `The mean reward went from ${rewards.first.toFixed(3)} to ${rewards.last.toFixed(3)}`;
  const same = baseline && learnedTheSame(own, baseline);
  return same ? `${moved}, the same in every bit as with everything resident.` : `${moved}.`;
}

function stepsText(steps: number): string {
  return `${steps} ${steps === 1 ? "step" : "steps"}`;
}
