/** Waiting for what others do: a loaded machine may take seconds over what takes a millisecond, and that is no failure. */
import { vi } from "vitest";

/** What `look` gives once it does not throw. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: 60_000, interval: 5 });
}
