/**
 * Sizes and times as people read them. Inside the program everything is bytes and seconds; only the screen and the
 * command line see GiB and ms, and they get them here, so that 2^30 and 10^9 are never mixed (a 7 % error).
 */

export const KIB = 2 ** 10;
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

/** Thrown for text that is not a size; says which text and what is accepted. */
export class SizeSyntaxError extends Error {
  override readonly name = "SizeSyntaxError";
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: KIB,
  kib: KIB,
  kb: 1e3,
  m: MIB,
  mib: MIB,
  mb: 1e6,
  g: GIB,
  gib: GIB,
  gb: 1e9,
};

/**
 * Bytes from text: `1073741824`, `1GiB`, `1.5 g`, `512MiB`. Bare `K`, `M`, `G` are binary; `GB` is 10^9.
 * @throws SizeSyntaxError for anything else, for negative sizes and for sizes past 2^53.
 */
export function parseBytes(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unitBytes = UNIT_BYTES[match?.[2]?.toLowerCase() ?? ""];
  const bytes = Math.round(Number(match?.[1]) * (unitBytes ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) {
    throw new SizeSyntaxError(
      `"${text}" is not a size: write bytes (1048576) or a number with KiB, MiB or GiB (1.5GiB)`,
    );
  }
  return bytes;
}

/** `1.50 GiB`, `12.0 MiB`, `640 B`: three significant figures, binary units, sign kept. */
export function formatBytes(bytes: number): string {
  const magnitude = Math.abs(bytes);
  if (magnitude < KIB) return `${Math.round(bytes)} B`;
  const [unitBytes, unit] = magnitude < MIB ? [KIB, "KiB"] : magnitude < GIB ? [MIB, "MiB"] : [GIB, "GiB"];
  const value = bytes / unitBytes;
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}

/** `850 µs`, `12.3 ms`, `4.56 s`, `3 min 05 s`. */
export function formatSeconds(seconds: number): string {
  const magnitude = Math.abs(seconds);
  if (magnitude < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (magnitude < 1) return `${(seconds * 1e3).toFixed(magnitude < 0.1 ? 1 : 0)} ms`;
  if (magnitude < 60) return `${seconds.toFixed(magnitude < 10 ? 2 : 1)} s`;
  const minutes = Math.trunc(seconds / 60);
  return `${minutes} min ${String(Math.floor(magnitude % 60)).padStart(2, "0")} s`;
}

/** `58 %`, `4.2 %`: a share of a whole. */
export function formatShare(share: number): string {
  return `${(100 * share).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)} %`;
}

/** `12.3 GB/s`, `850 MB/s`: link and memory speeds, in powers of ten as their makers state them. */
export function formatBandwidth(bytesPerSecond: number): string {
  const [unitBytes, unit] =
    bytesPerSecond >= 1e9 ? [1e9, "GB/s"] : bytesPerSecond >= 1e6 ? [1e6, "MB/s"] : [1e3, "kB/s"];
  const value = bytesPerSecond / unitBytes;
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${unit}`;
}
