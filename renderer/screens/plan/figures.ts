/** Differences as people read them: always with their sign. */
import { formatBytes } from "../../../core/units.ts";

export function signedBytes(bytes: number): string {
  return bytes === 0 ? "±0" : `${bytes > 0 ? "+" : "−"}${formatBytes(Math.abs(bytes))}`;
}

/** "+3.1 %"; nothing to compare with is nothing to say. */
export function signedPercent(difference: number, of: number): string {
  if (of === 0) return "";
  const percent = (100 * difference) / of;
  return `${percent < 0 ? "−" : "+"}${Math.abs(percent).toFixed(1)} %`;
}
