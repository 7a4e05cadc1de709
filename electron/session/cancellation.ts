/** What the addon is cancelled with. */
import type { NativeCancellation, TidelineAddon } from "../../native/addon.d.ts";

const known = new WeakMap<AbortSignal, NativeCancellation>();

/** Cancelled when `signal` is: one listener, however many operations it is given to. */
export function cancellationOf(
  addon: Pick<TidelineAddon, "createCancellation">,
  signal: AbortSignal,
): NativeCancellation {
  const made = known.get(signal);
  if (made !== undefined) return made;
  const cancellation = addon.createCancellation();
  signal.addEventListener("abort", () => cancellation.cancel(), { once: true });
  if (signal.aborted) cancellation.cancel();
  known.set(signal, cancellation);
  return cancellation;
}
