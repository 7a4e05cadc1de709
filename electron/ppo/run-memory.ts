/**
 * The memory of a run: the rules' model of it, kept in step with what the backend does. Every action goes through here
 * and is recorded, failed ones too; one that fails changes nothing.
 */
import { toErrorData } from "../../core/errors.ts";
import type { MemoryState, Outcome } from "../../core/schedule/residency.ts";
import { type Action, describeAction, targetOf } from "../../core/schedule/schedule.ts";
import { isScratch, SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../core/schedule/works.ts";
import type { Receipt } from "../../native/addon.d.ts";
import type { PpoBackend, Progress } from "./backend.ts";
import type { ActionRecord } from "./records.ts";

/** Where in the run an action is done, and for whom. */
export type ActionContext = Pick<ActionRecord, "step" | "work" | "origin">;

export class RunMemory {
  readonly #backend: PpoBackend;
  readonly #onAction: (action: ActionRecord) => void;
  #state: MemoryState;
  /**
   * Consumers whose memory was never taken: nothing is in it before its first use, and a framework takes it only then.
   * So a run that does not fit fails in the phase where it would on a card.
   */
  readonly #untaken = new Set(SCHEDULED_CONSUMERS.filter(isTakenAtFirstUse));

  /** Of those, what was taken since, and may have nothing in it yet. */
  readonly #fresh = new Set<ScheduledConsumer>();

  constructor(backend: PpoBackend, start: MemoryState, onAction: (action: ActionRecord) => void) {
    this.#backend = backend;
    this.#state = start;
    this.#onAction = onAction;
  }

  /** Where every consumer is by the rules, as if all that the loop keeps resident had been taken already. */
  get state(): MemoryState {
    return this.#state;
  }

  /** By the rules it is there, and it has never been needed. */
  isUntaken(consumer: ScheduledConsumer): boolean {
    return this.#untaken.has(consumer);
  }

  /**
   * Does an action that the rules allow.
   * @returns undefined where there is nothing to do: it is so already, or what was never taken is to be given up.
   */
  async act(
    action: Action,
    outcome: Exclude<Outcome, { kind: "refused" }>,
    context: ActionContext,
    signal: AbortSignal,
    progress?: Progress,
  ): Promise<Receipt | undefined> {
    const consumer = targetOf(action);
    const isFirst = this.#untaken.has(consumer);
    const isTaking = action.kind === "resume" || action.kind === "load";
    const isIdle = isFirst ? !isTaking : outcome.kind === "already";
    const kind = action.kind === "offload" ? "release" : action.kind;
    const keepsNothing = action.kind === "offload" && !isIdle && this.#isFresh(consumer);
    const done: Action = keepsNothing ? { kind: "release", consumer, destination: "return" } : action;
    const receipt = await this.#record(context, kind, describeAction(action), consumer, () =>
      isIdle ? undefined : this.#backend.act(done, signal, progress),
    );
    if (keepsNothing) this.#giveBackFresh(consumer);
    else if (action.kind !== "offload") this.#take(consumer);
    this.#state = outcome.state;
    return receipt;
  }

  #take(consumer: ScheduledConsumer): void {
    if (this.#untaken.delete(consumer)) this.#fresh.add(consumer);
  }

  /** As if it had never been taken: whoever needs it takes it for the first time. */
  #giveBackFresh(consumer: ScheduledConsumer): void {
    this.#fresh.delete(consumer);
    this.#untaken.add(consumer);
  }

  #isFresh(consumer: ScheduledConsumer): boolean {
    if (!this.#fresh.has(consumer)) return false;
    if (this.#backend.hasContents(consumer)) this.#fresh.delete(consumer);
    return this.#fresh.has(consumer);
  }

  /** Takes what was never taken, of what a work needs now. */
  async setUp(
    consumers: readonly ScheduledConsumer[],
    context: Pick<ActionContext, "step" | "work">,
    signal: AbortSignal,
  ): Promise<void> {
    for (const consumer of consumers) {
      if (!this.#untaken.has(consumer)) continue;
      await this.#record({ ...context, origin: "set_up" }, "resume", `set up ${consumer}`, consumer, () =>
        this.#backend.setUp(consumer, this.#state[consumer].residency === "host" ? "host" : "device", signal),
      );
      this.#take(consumer);
    }
  }

  /** A work is done, and has left the memory so. */
  become(state: MemoryState): void {
    this.#state = state;
  }

  async #record(
    { step, work, origin }: ActionContext,
    kind: ActionRecord["kind"],
    label: string,
    consumer: ScheduledConsumer,
    act: () => Promise<Receipt> | undefined,
  ): Promise<Receipt | undefined> {
    const startSeconds = Date.now() / 1000;
    const startMs = performance.now();
    const record = (): ActionRecord => {
      const endSeconds = startSeconds + (performance.now() - startMs) / 1000;
      return { step, work, origin, kind, label, consumer, startSeconds, endSeconds };
    };
    try {
      const receipt = await act();
      // Not spread into a literal: V8 takes a hundred times as long for that, and a run does it at every item.
      this.#onAction(receipt === undefined ? record() : Object.assign(record(), { receipt }));
      return receipt;
    } catch (error) {
      this.#onAction({ ...record(), error: toErrorData(error) });
      throw error;
    }
  }
}

function isTakenAtFirstUse(consumer: ScheduledConsumer): boolean {
  return isScratch(consumer) || consumer.endsWith(".optimizer");
}
