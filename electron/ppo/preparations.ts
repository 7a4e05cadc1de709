/**
 * Host memory for what a step will offload, and for optimizers that are never anywhere else, is taken in the background while
 * its rollout runs: on a GPU that memory is pinned, which takes longer than the copy, and then nothing waits for it. What
 * fails here is recorded, and fails nothing else: whoever needs the memory asks again.
 */
import { toErrorData } from "../../core/errors.ts";
import { streamedConsumers } from "../../core/schedule/residency.ts";
import { itemsOf, type Schedule } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer, Work } from "../../core/schedule/works.ts";
import type { PpoBackend } from "./backend.ts";
import type { ActionRecord } from "./records.ts";

type Backend = Pick<PpoBackend, "prepareOffload">;

/** The work that leaves host and link alone. */
const DURING: Work = "rollout";

export class Preparations {
  readonly #backend: Backend;
  readonly #consumers: readonly ScheduledConsumer[];
  readonly #onAction: (action: ActionRecord) => void;
  /** Under way, or there: it stays there, and what was discarded by hand since is taken again by whoever needs it. */
  readonly #begun = new Set<ScheduledConsumer>();

  constructor(backend: Backend, schedule: Schedule, onAction: (action: ActionRecord) => void) {
    this.#backend = backend;
    this.#consumers = [...new Set([...offloadedToHost(schedule), ...streamedConsumers(schedule.roles)])];
    this.#onAction = onAction;
  }

  /** Begins what the steps will need, and what failed or was stopped before. Never throws; `signal` stops it. */
  duringWork(work: Work, step: number, signal: AbortSignal): void {
    if (work !== DURING) return;
    for (const consumer of this.#consumers) {
      if (this.#begun.has(consumer)) continue;
      this.#begun.add(consumer);
      void this.#prepare(consumer, { step, work }, signal);
    }
  }

  async #prepare(
    consumer: ScheduledConsumer,
    context: Pick<ActionRecord, "step" | "work">,
    signal: AbortSignal,
  ): Promise<void> {
    const startSeconds = Date.now() / 1000;
    const recordOf = (outcome: Pick<ActionRecord, "receipt" | "error">): ActionRecord => ({
      ...context,
      origin: "ahead",
      kind: "prepare",
      label: `prepare ${consumer} for the host`,
      consumer,
      startSeconds,
      endSeconds: Date.now() / 1000,
      ...outcome,
    });
    try {
      const receipt = await this.#backend.prepareOffload(consumer, signal);
      // It may be there already, by an action by hand.
      if (receipt.bytesPrepared) this.#onAction(recordOf({ receipt }));
    } catch (thrown) {
      this.#begun.delete(consumer);
      const error = toErrorData(thrown);
      // By whoever cancelled the rollout or closed the run, who knows.
      if (error.code !== "cancelled") this.#onAction(recordOf({ error }));
    }
  }
}

function offloadedToHost(schedule: Schedule): readonly ScheduledConsumer[] {
  return itemsOf(schedule).flatMap((item) =>
    item.kind === "action" && item.action.kind === "offload" && item.action.to === "host" ? [item.action.consumer] : [],
  );
}
