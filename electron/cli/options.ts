/** How the commands read their options: numbers and sizes that are checked where they are given. */
import { InvalidArgumentError } from "commander";
import { TidelineError } from "../../core/errors.ts";
import { parseBytes, SizeSyntaxError } from "../../core/units.ts";

/** Options that are right one by one and wrong together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** `64MiB`, `1GiB`, `65536`: more than nothing. */
export function sizeOption(text: string): number {
  try {
    const bytes = parseBytes(text);
    if (bytes > 0) return bytes;
  } catch (error) {
    if (!(error instanceof SizeSyntaxError)) throw error;
    throw new InvalidArgumentError(error.message);
  }
  throw new InvalidArgumentError("must be more than 0 bytes");
}

/** `cuda:1=20GiB`, once per device: bytes by device. */
export function capacityOption(
  text: string,
  before: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const at = text.lastIndexOf("=");
  if (at <= 0) throw new InvalidArgumentError("is a device and a size: cuda:1=20GiB");
  return { ...before, [text.slice(0, at).trim()]: sizeOption(text.slice(at + 1)) };
}

/** A whole number of a range, for commander. */
export function wholeOption(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`must be a whole number ${range}`);
  };
}

/** A number of a range, for commander. */
export function numberOption(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`must be a number from ${least} to ${most}`);
  };
}

/** `1,2,3`. */
export function idsOption(text: string): number[] {
  return text.split(",").map(wholeOption(0, 2 ** 31 - 1));
}

/** The exit code of a command that Ctrl-C stopped before it was done, as shells have it. */
export const INTERRUPTED = 130;

/** A signal that Ctrl-C and SIGTERM abort; the second one ends the process as it usually would. */
export function interruption(): AbortSignal {
  const abort = new AbortController();
  const stop = () => abort.abort(new TidelineError({ code: "cancelled", message: "stopped by Ctrl-C" }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  return abort.signal;
}
