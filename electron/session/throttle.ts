/**
 * Coalesces many calls into at most one per interval, the last one always kept: states and generations are pushed
 * whole, so only the newest matters.
 */

export interface Throttled {
  /** Runs now, or as soon as the interval since the last run is over. */
  request(): void;
  /** For good: what is requested later does not run. */
  stop(): void;
}

export function throttle(intervalMs: number, run: () => void): Throttled {
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const runNow = () => {
    clearTimeout(timer);
    timer = undefined;
    lastMs = performance.now();
    run();
  };
  return {
    request() {
      if (stopped || timer !== undefined) return;
      const waitMs = lastMs + intervalMs - performance.now();
      // Never in the caller's own turn: a burst of changes in one turn is one run.
      timer = setTimeout(runNow, Math.max(0, waitMs));
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
