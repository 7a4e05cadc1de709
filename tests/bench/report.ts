/** How every bench says what it found: one JSON line with the machine it ran on. */
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly number[];
  /** Where the median lies, with 95 % confidence. */
  readonly interval?: readonly [from: number, to: number];
  /** Against what, in words, and the ratio of medians. */
  readonly ratio?: Ratio;
  /** Against something else too. */
  readonly otherRatio?: Ratio;
  /** What the figure was taken with. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

interface Ratio {
  readonly to: string;
  readonly value: number;
}

/** Prints a figure; its value is the median of its samples. */
export function report({ name, unit, samples, interval, ratio, otherRatio, settings }: Figure): void {
  const line = {
    name,
    value: round(median(samples)),
    unit,
    ...(ratio === undefined ? {} : { ratio: { ...ratio, value: round(ratio.value) } }),
    ...(otherRatio === undefined ? {} : { otherRatio: { ...otherRatio, value: round(otherRatio.value) } }),
    samples: samples.length,
    median: round(median(samples)),
    min: round(Math.min(...samples)),
    max: round(Math.max(...samples)),
    ...(interval === undefined ? {} : { interval95: interval.map(round) }),
    ...(settings === undefined ? {} : { settings }),
    machine: MACHINE,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * The 95 % confidence interval of a median, from order statistics: nothing is assumed about how the samples are spread.
 * The ranks are those of a binomial distribution with p = 1/2, by its normal approximation.
 */
export function medianInterval(values: readonly number[]): readonly [from: number, to: number] {
  const sorted = [...values].sort((a, b) => a - b);
  const halfWidth = (1.96 * Math.sqrt(sorted.length)) / 2;
  const from = Math.max(0, Math.floor(sorted.length / 2 - halfWidth));
  const to = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + halfWidth));
  return [sorted[from] ?? Number.NaN, sorted[to] ?? Number.NaN];
}

const MACHINE = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: firstWords("/proc/version", 3),
  hugePages: firstWords("/sys/kernel/mm/transparent_hugepage/enabled", 3),
  node: process.version,
} as const;

function firstWords(file: string, count: number): string {
  try {
    return readFileSync(file, "utf8").trim().split(/\s+/).slice(0, count).join(" ");
  } catch {
    return "unknown";
  }
}

function round(value: number): number {
  return Number(value.toPrecision(5));
}
