/**
 * Everything that is done to memory goes through here: it waits its turn, can be watched and cancelled, and leaves a
 * record with what it cost, also when it failed.
 */
import type { ActionRecord, Receipt } from "../../core/contract.ts";
import { type TidelineErrorData, toErrorData } from "../../core/errors.ts";
import type { Work } from "./backend.ts";
import { withHint } from "./hints.ts";
import type { Operations } from "./operations.ts";

export interface Action {
  readonly kind: ActionRecord["kind"];
  readonly consumer?: string;
  /** One line for people: "release engine.kv_cache (discard)". */
  readonly label: string;
  /** False for what is over in a moment and cannot stop halfway. */
  readonly cancellable?: false;
}

export class Actions {
  readonly #operations: Operations;
  readonly #publish: (action: ActionRecord) => void;
  #nextId = 1;

  constructor(operations: Operations, publish: (action: ActionRecord) => void) {
    this.#operations = operations;
    this.#publish = publish;
  }

  /** Runs `work` in its turn and records it; its errors are recorded and thrown on. */
  run(action: Action, work: (work: Work) => Promise<Receipt>): Promise<Receipt> {
    return this.#run(action, work, (receipt) => ({ receipt }));
  }

  /** As `run`, for what moves no memory by itself. */
  runWithoutReceipt(action: Action, work: (work: Work) => Promise<void>): Promise<void> {
    return this.#run(action, work, () => ({}));
  }

  /** Records a failure that no command asked for, such as a device that is gone at start. */
  recordFailure(action: Action, error: unknown): void {
    this.#record(action, performance.now(), { error: withHint(toErrorData(error)) });
  }

  async #run<T>(
    action: Action,
    work: (work: Work) => Promise<T>,
    outcomeOf: (result: T) => { readonly receipt?: Receipt },
  ): Promise<T> {
    let startedMs = performance.now();
    const timed = (granted: Work) => {
      startedMs = performance.now();
      return work(granted);
    };
    try {
      const result = await this.#operations.run(action.label, timed, action.cancellable ?? true);
      this.#record(action, startedMs, outcomeOf(result));
      return result;
    } catch (error) {
      this.#record(action, startedMs, { error: withHint(toErrorData(error)) });
      throw error;
    }
  }

  #record(
    { kind, consumer, label }: Action,
    startedMs: number,
    outcome: { readonly receipt?: Receipt; readonly error?: TidelineErrorData },
  ): void {
    this.#publish({
      id: this.#nextId++,
      timeSeconds: Date.now() / 1000,
      kind,
      label,
      ...(consumer === undefined ? {} : { consumer }),
      milliseconds: outcome.receipt?.milliseconds ?? performance.now() - startedMs,
      ...outcome,
    });
  }
}
