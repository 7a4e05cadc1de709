/** Things that come one by one and are handed on together: the first at once, the others with those of their interval. */

export interface Batches<T> {
  add(item: T): void;
  /** What waits is not handed on any more. */
  forget(): void;
}

export function inBatches<T>(intervalMs: number, handOn: (items: readonly T[]) => void): Batches<T> {
  let waiting: T[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (): void => {
    timer = undefined;
    if (waiting.length === 0) return;
    const items = waiting;
    waiting = [];
    timer = setTimeout(flush, intervalMs);
    handOn(items);
  };
  return {
    add(item) {
      waiting.push(item);
      if (timer === undefined) flush();
    },
    forget() {
      waiting = [];
    },
  };
}
