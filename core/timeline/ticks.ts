/**
 * Where axis lines go and what they say: time in 1-2-5 steps (and the steps of clocks above a second), bytes in powers
 * of two, so that a line is 16 GiB and never 17.18.
 */
import { GIB, KIB, MIB } from "../units.ts";
import { spanSeconds, type TimeWindow } from "./time-scale.ts";

/** Steps of a minute and an hour; below a second 1-2-5 goes on downwards, above it upwards in days. */
const CLOCK_STEPS_SECONDS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
] as const;

export interface TimeTicks {
  readonly stepSeconds: number;
  /** Unix seconds, ascending, within the window. */
  readonly times: readonly number[];
}

/**
 * At most `count` ticks, at multiples of a readable step from `originSeconds` (0 for the clock, the start of a
 * recording for relative times).
 */
export function timeTicks(window: TimeWindow, count: number, originSeconds: number): TimeTicks {
  const stepSeconds = timeStep(spanSeconds(window) / Math.max(1, count));
  const first = Math.ceil((window.startSeconds - originSeconds) / stepSeconds);
  const last = Math.floor((window.endSeconds - originSeconds) / stepSeconds);
  const times = Array.from(
    { length: Math.max(0, last - first + 1) },
    (_, i) => originSeconds + (first + i) * stepSeconds,
  );
  return { stepSeconds, times };
}

function timeStep(atLeastSeconds: number): number {
  if (atLeastSeconds < 1) return decimalStep(atLeastSeconds);
  const clock = CLOCK_STEPS_SECONDS.find((step) => step >= atLeastSeconds);
  return clock ?? decimalStep(atLeastSeconds / 86_400) * 86_400;
}

function decimalStep(atLeast: number): number {
  const decade = 10 ** Math.floor(Math.log10(atLeast));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * decade >= atLeast * (1 - 1e-9)) ?? 10;
  return factor * decade;
}

/** What is closer together, or closer to zero, is drawn as one number. */
const SMALLEST = 1e-12;

/** Readable numbers that enclose `min` to `max` in at most about `count` steps; ascending, two at least. */
export function numberTicks(min: number, max: number, count: number): readonly number[] {
  const magnitude = Math.max(Math.abs(min), Math.abs(max));
  const hasSpan = max - min > Math.max(SMALLEST, 1e-9 * magnitude);
  const span = hasSpan ? max - min : magnitude > SMALLEST ? magnitude : 1;
  const step = decimalStep(span / Math.max(1, count));
  const first = Math.floor(min / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(max / step - 1e-9));
  // Multiples of a fraction are off by their last bit; what an axis says is not.
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** `1:02:03`, `2:03`, `12 s`, `0.25 s`: time since the origin with the digits that a step of the axis needs. */
export function formatRelative(seconds: number, stepSeconds: number): string {
  const digits = fractionDigits(stepSeconds);
  const sign = seconds < 0 ? "−" : "";
  const units = Math.round(Math.abs(seconds) * 10 ** digits);
  const magnitude = units / 10 ** digits;
  if (magnitude < 60) return `${units === 0 ? "" : sign}${magnitude.toFixed(digits)} s`;
  const hours = Math.floor(magnitude / 3600);
  const minutes = Math.floor(magnitude / 60) % 60;
  const rest = (magnitude % 60).toFixed(digits).padStart(digits === 0 ? 2 : digits + 3, "0");
  return hours > 0 ? `${sign}${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${sign}${minutes}:${rest}`;
}

/** `14:03:07` in the reader's time zone, with the digits that a step of the axis needs. */
export function formatClock(timeSeconds: number, stepSeconds: number): string {
  const digits = fractionDigits(stepSeconds);
  const units = Math.round(timeSeconds * 10 ** digits);
  const whole = Math.floor(units / 10 ** digits);
  const date = new Date(whole * 1000);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0"));
  const fraction = digits === 0 ? "" : `.${String(units - whole * 10 ** digits).padStart(digits, "0")}`;
  return clock.join(":") + fraction;
}

function fractionDigits(stepSeconds: number): number {
  return Math.min(6, Math.max(0, Math.ceil(-Math.log10(stepSeconds) - 1e-9)));
}

/** Multiples of the smallest power of two that needs at most `count` steps to reach `maxBytes`; from 0, ascending. */
export function byteTicks(maxBytes: number, count: number): readonly number[] {
  const step = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, maxBytes) / Math.max(1, count)) - 1e-9));
  return Array.from({ length: Math.floor(maxBytes / step) + 1 }, (_, i) => i * step);
}

/** `16 GiB`, `512 MiB`, `0`: exact for the values of `byteTicks`, in the unit of the value. */
export function formatByteTick(bytes: number): string {
  if (bytes === 0) return "0";
  const [unitBytes, unit] =
    bytes >= GIB ? [GIB, "GiB"] : bytes >= MIB ? [MIB, "MiB"] : bytes >= KIB ? [KIB, "KiB"] : [1, "B"];
  return `${Number((bytes / unitBytes).toFixed(2))} ${unit}`;
}
