/** How fast a run plays: each item takes at least so long, for eyes to follow. The wait ends when somebody asks for it. */
import { setTimeout as sleep } from "node:timers/promises";

export class Pace {
  #itemSeconds = 0;
  #cut = new AbortController();

  get itemSeconds(): number {
    return this.#itemSeconds;
  }

  /** Counts for the item under way too. */
  set(itemSeconds: number): void {
    this.#itemSeconds = itemSeconds;
    this.hurry();
  }

  /** Looks again at once whether a wait under way is still wanted. */
  hurry(): void {
    this.#cut.abort();
  }

  /** Waits until an item has taken long enough, for as long as the wait `isWanted`. */
  async keep(itemStartedMs: number, isWanted: () => boolean): Promise<void> {
    for (;;) {
      const restMs = itemStartedMs + 1000 * this.#itemSeconds - performance.now();
      if (restMs <= 0 || !isWanted()) return;
      this.#cut = new AbortController();
      // All that can go wrong with a sleep is that `hurry` ends it.
      await sleep(restMs, undefined, { signal: this.#cut.signal }).catch(() => {});
    }
  }
}
