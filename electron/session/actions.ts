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
  async run<T extends Receipt | undefined>(action: Action, work: (work: Work) => Promise<T>): Promise<T> {
    let startedMs = performance.now();
    try {
      const receipt = await this.#operations.run(action.label, (granted) => {
        startedMs = performance.now();
        return work(granted);
      });
      this.#record(action, startedMs, receipt === undefined ? {} : { receipt });
      return receipt;
    } catch (error) {
      this.#record(action, startedMs, { error: withHint(toErrorData(error)) });
      throw error;
    }
  }

  /** Records a failure that no command asked for, such as a device that is gone at start. */
  recordFailure(action: Action, error: unknown): void {
    this.#record(action, performance.now(), { error: withHint(toErrorData(error)) });
  }

  #record(action: Action, startedMs: number, outcome: { receipt?: Receipt; error?: TidelineErrorData }): void {
    this.#publish({
      id: this.#nextId++,
      timeSeconds: Date.now() / 1000,
      ...action,
      milliseconds: outcome.receipt?.milliseconds ?? performance.now() - startedMs,
      ...outcome,
    });
  }
}
