/**
 * Long work a person can watch and cancel, and the queue that keeps two changes from meeting: commands that change
 * memory run one after another, in the order in which they arrived.
 */
import type { OperationState } from "../../core/contract/state.ts";
import { TidelineError } from "../../core/errors.ts";
import type { Work } from "./backend.ts";

/** Work that a person watches: progress is in bytes, or in PPO steps. */
export interface OperationWork extends Work {
  readonly steps: (done: number, total: number) => void;
  /** Names the part that begins, for work with parts that move bytes of their own; undefined: the work itself. */
  readonly part: (name: string | undefined) => void;
}

interface Running {
  readonly state: OperationState;
  readonly abort: AbortController;
}

export class Operations {
  readonly #onChange: () => void;
  readonly #running = new Map<number, Running>();
  #nextId = 1;
  #tail: Promise<unknown> = Promise.resolve();
  #beside: Promise<unknown> = Promise.resolve();
  #isOver = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** What runs or waits, oldest first. */
  states(): OperationState[] {
    return [...this.#running.values()].map(({ state }) => state);
  }

  /**
   * Runs `work` after everything that was queued before it. What is not cancellable can still be cancelled while it
   * waits.
   * @throws TidelineError `cancelled` when it was cancelled while it waited; else whatever `work` throws.
   */
  run<T>(label: string, work: (work: OperationWork) => Promise<T>, cancellable = true): Promise<T> {
    return this.#show(label, cancellable, (begin) => this.inTurn(() => begin(work)));
  }

  /** Runs `work` beside what is queued: for what moves no memory that others move. */
  runBeside<T>(label: string, work: (work: OperationWork) => Promise<T>): Promise<T> {
    return this.#show(label, true, (begin) => {
      const running = begin(work);
      this.#beside = Promise.allSettled([this.#beside, running]).then(() => undefined);
      return running;
    });
  }

  /**
   * Runs `start` in its turn, without showing it: for what is over at once but must not meet a running change.
   * @throws TidelineError `cancelled` once everything was stopped; else whatever `start` throws.
   */
  inTurn<T>(start: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => {
      if (this.#isOver) throw new TidelineError({ code: "cancelled", message: "Tideline is closing" });
      return start();
    });
    this.#tail = turn.catch(() => {});
    return turn;
  }

  /** @throws TidelineError `not_found` for one that is over, `unsupported` for one that cannot be cancelled. */
  cancel(id: number): void {
    const running = this.#running.get(id);
    if (running && !running.state.cancellable && !running.abort.signal.aborted) {
      throw new TidelineError({
        code: "unsupported",
        message: `"${running.state.label}" cannot be cancelled`,
        hint: "It is done in a moment.",
      });
    }
    if (!running) {
      throw new TidelineError({
        code: "not_found",
        message: `operation ${id} is not running`,
        hint: "It has ended already.",
      });
    }
    running.abort.abort();
    this.#set(id, { ...running, state: { ...running.state, cancellable: false } });
  }

  /** Cancels everything and waits for the end of it; nothing begins any more. */
  async stop(): Promise<void> {
    this.#isOver = true;
    for (const { abort } of this.#running.values()) abort.abort();
    await Promise.all([this.#tail, this.#beside]);
  }

  /** Shows an operation from now until it is over, with what it tells once it has begun. */
  async #show<T>(
    label: string,
    cancellable: boolean,
    start: (begin: (work: (work: OperationWork) => Promise<T>) => Promise<T>) => Promise<T>,
  ): Promise<T> {
    const id = this.#nextId++;
    const abort = new AbortController();
    const change = (changes: Partial<OperationState>) => {
      const running = this.#running.get(id);
      if (running) this.#set(id, { abort, state: { ...running.state, ...changes } });
    };
    this.#set(id, { abort, state: { id, label, doneBytes: 0, totalBytes: 0, cancellable: true } });
    try {
      return await start(async (work) => {
        if (abort.signal.aborted || this.#isOver) throw cancelled(label);
        if (!cancellable) change({ cancellable });
        return work({
          signal: abort.signal,
          progress: (doneBytes, totalBytes) => change({ doneBytes, totalBytes }),
          steps: (done, total) => change({ steps: { done, total } }),
          part: (name) =>
            change({ label: name === undefined ? label : `${label}: ${name}`, doneBytes: 0, totalBytes: 0 }),
        });
      });
    } finally {
      this.#running.delete(id);
      this.#onChange();
    }
  }

  #set(id: number, running: Running): void {
    this.#running.set(id, running);
    this.#onChange();
  }
}

function cancelled(label: string): TidelineError {
  return new TidelineError({ code: "cancelled", message: `"${label}" was cancelled before it began` });
}
