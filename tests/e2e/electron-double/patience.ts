/** Waiting for Chromium, but not for ever: what closes must end even if the browser never answers. */
import { setTimeout as sleep } from "node:timers/promises";

const CHROMIUM_LIMIT_MS = 5000;

/** Resolves once this has settled either way, or the limit has passed. */
export async function chromiumSettles(work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const limit = sleep(CHROMIUM_LIMIT_MS, undefined, { signal: timer.signal });
  await Promise.race([Promise.allSettled([work]), limit]);
  timer.abort();
  await limit.catch(() => undefined);
}
