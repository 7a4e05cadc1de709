/** Counts as people say them; decimal, because they are not sizes. */

/** `1.24 B`, `494 M`, `82.3 k`, `640`: three significant figures. */
export function countWords(count: number): string {
  for (const [unit, name] of [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (count >= unit) return `${Number((count / unit).toPrecision(3))} ${name}`;
  }
  return String(count);
}

/** `1,660 tokens/s`, `8.4 tokens/s`. */
export function rateWords(tokensPerSecond: number): string {
  const digits = tokensPerSecond >= 100 ? 0 : 1;
  const words = tokensPerSecond.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${words} tokens/s`;
}

/** `14:03:27`, the clock of this machine. */
export function clockWords(timeSeconds: number): string {
  return new Date(timeSeconds * 1000).toLocaleTimeString("en-GB");
}
