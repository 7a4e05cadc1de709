/**
 * Everything that is done to memory goes through here: it waits its turn, can be watched and cancelled, and leaves a
 * record with what it cost, also when it failed.
 */
import type { ActionRecord } from "../../core/contract/timeline.ts";
import type { Receipt } from "../../core/contract/vocabulary.ts";
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

export interface Outcome {
  /** How long it took; a receipt knows better. */
  readonly milliseconds: number;
  readonly receipt?: Receipt | undefined;
  readonly error?: TidelineErrorData;
}

export class Actions {
  readonly #operations: Operations;
  readonly #publish: (action: ActionRecord) => void;
  #nextId = 1;

  constructor(operations: Operations, publish: (action: ActionRecord) => void) {
    this.#operations = operations;
    this.#publish = publish;
  }

  /** Runs `work` in its turn and records it; its errors are recorded and thrown on. Without a receipt it moved no memory. */
  async run<Result extends Receipt | undefined>(
    action: Action,
    work: (work: Work) => Promise<Result>,
  ): Promise<Result> {
    let startedMs: number | undefined;
    // What was cancelled while it waited took no time, however long that was.
    const elapsedMs = () => (startedMs === undefined ? 0 : performance.now() - startedMs);
    const timed = (granted: Work) => {
      startedMs = performance.now();
      return work(granted);
    };
    try {
      const receipt = await this.#operations.run(action.label, timed, action.cancellable ?? true);
      this.record(action, { receipt, milliseconds: elapsedMs() });
      return receipt;
    } catch (error) {
      this.recordFailure(action, error, elapsedMs());
      throw error;
    }
  }

  /** Records what no command asked for itself, such as an action of a schedule. */
  record({ kind, consumer, label }: Action, { milliseconds, receipt, error }: Outcome): void {
    this.#publish({
      id: this.#nextId++,
      timeSeconds: Date.now() / 1000,
      kind,
      label,
      ...(consumer !== undefined && { consumer }),
      milliseconds: receipt?.milliseconds ?? milliseconds,
      ...(receipt !== undefined && { receipt }),
      ...(error !== undefined && { error: withHint(error) }),
    });
  }

  /** The same of a failure, such as a device that is gone at start. */
  recordFailure(action: Action, error: unknown, milliseconds = 0): void {
    this.record(action, { error: toErrorData(error), milliseconds });
  }
}
