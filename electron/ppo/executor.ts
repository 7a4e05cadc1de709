/**
 * Executes a schedule on a backend, one item at a time: works and memory actions, and nothing implicit. It keeps the
 * cursor (where the run is), the model of the memory (what may be done next) and the records (what happened), and asks
 * the pure rules of core/schedule before every item: what they refuse is never begun.
 */
import { TidelineError, type TidelineErrorData, toErrorData } from "../../core/errors.ts";
import { checkSchedule, foresee, problemError } from "../../core/schedule/check.ts";
import { advance, type Breakpoint, type Cursor, type Goal, itemAt, START } from "../../core/schedule/cursor.ts";
import {
  applyAction,
  applyWork,
  describeMissing,
  type MemoryState,
  needsOf,
  type Outcome,
} from "../../core/schedule/residency.ts";
import {
  type Action,
  describeAction,
  type Item,
  itemsOf,
  type Schedule,
  targetOf,
} from "../../core/schedule/schedule.ts";
import { isScratch, SCHEDULED_CONSUMERS, type ScheduledConsumer, type Work } from "../../core/schedule/works.ts";
import type { Receipt } from "../../native/addon.d.ts";
import type { PpoBackend } from "./backend.ts";
import { type ActionRecord, RunRecords, type StepRecord } from "./records.ts";
import type { PpoWorks } from "./works.ts";

/** Rollouts that a step's record shows. */
const SAMPLES = 8;

export interface RunListener {
  readonly onCursor?: (cursor: Cursor) => void;
  readonly onAction?: (action: ActionRecord) => void;
  readonly onStep?: (step: StepRecord) => void;
}

export interface RunOptions extends RunListener {
  readonly schedule: Schedule;
  readonly backend: PpoBackend;
  readonly works: PpoWorks;
  /** Stops the loading of the models. */
  readonly signal: AbortSignal;
}

export class PpoRun {
  readonly #schedule: Schedule;
  readonly #backend: PpoBackend;
  readonly #works: PpoWorks;
  readonly #listener: RunListener;
  readonly #records: RunRecords;
  #cursor: Cursor = START;
  #memory: MemoryState;
  /**
   * Consumers whose memory was never taken: nothing is in it before its first use, and a framework takes it only then.
   * So a run that does not fit fails in the phase where it would on a card.
   */
  readonly #untaken = new Set(SCHEDULED_CONSUMERS.filter(isTakenAtFirstUse));
  #abort = new AbortController();

  private constructor({ schedule, backend, works, ...listener }: RunOptions, start: MemoryState) {
    this.#schedule = schedule;
    this.#backend = backend;
    this.#works = works;
    this.#memory = start;
    this.#listener = listener;
    this.#records = new RunRecords(() => backend.observe());
    backend.onSamples((batch) => this.#records.addSamples(batch));
  }

  /**
   * Checks the schedule, loads the models, and stands before the first item.
   * @throws TidelineError naming the action that is missing in a schedule that cannot run; the backend's errors.
   */
  static async begin(options: RunOptions): Promise<PpoRun> {
    const check = checkSchedule(options.schedule);
    if (!check.ok) throw problemError(check.problem);
    for (const item of itemsOf(options.schedule)) {
      if (item.kind === "action") options.backend.requireSupport(item.action);
    }
    await options.backend.prepare(check.start, options.signal);
    return new PpoRun(options, check.start);
  }

  get cursor(): Cursor {
    return this.#cursor;
  }

  /** Where every consumer is by the rules, as if all that the loop keeps resident had been taken already. */
  get memory(): MemoryState {
    return this.#memory;
  }

  get records(): RunRecords {
    return this.#records;
  }

  /** Runs until the goal, a pause, a breakpoint or a failure; the cursor says which. */
  async go(goal: Goal): Promise<Cursor> {
    this.#move(advance(this.#schedule, this.#cursor, { kind: "go", goal }));
    return this.#drive();
  }

  /** Tries the failed item again and goes on to the goal of before. */
  async retry(): Promise<Cursor> {
    this.#move(advance(this.#schedule, this.#cursor, { kind: "retry" }));
    return this.#drive();
  }

  /** Stops at the next boundary. */
  pause(): void {
    this.#move(advance(this.#schedule, this.#cursor, { kind: "pause" }));
  }

  /** Stops the item that is under way; what it has not completed is undone. */
  cancel(): void {
    this.#move(advance(this.#schedule, this.#cursor, { kind: "cancel" }));
    if (this.#cursor.run.status === "cancelling") this.#abort.abort();
  }

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#move(advance(this.#schedule, this.#cursor, { kind: "set_breakpoints", breakpoints }));
  }

  /**
   * Does an action by hand, between two items. `consequenceOf` says beforehand what it leads to.
   * @throws TidelineError naming what is missing, or `busy` while the schedule runs; the backend's errors.
   */
  async act(action: Action): Promise<void> {
    const { status } = this.#cursor.run;
    if (status === "running" || status === "cancelling") {
      throw new TidelineError({ code: "busy", message: `the schedule is ${status}`, hint: "pause it first" });
    }
    const outcome = applyAction(this.#memory, action, this.#schedule.roles);
    if (outcome.kind === "refused") {
      const { code, consumer, reason, missing, hint: advice } = outcome.refusal;
      const hint = missing.length > 0 ? `first ${describeMissing(missing)}` : advice;
      throw new TidelineError({ code, message: `${consumer} ${reason}`, ...(hint !== undefined && { hint }) });
    }
    this.#backend.requireSupport(action);
    const { work } = itemAt(this.#schedule, this.#cursor);
    await this.#perform(action, outcome, { work, origin: "by_hand" }, new AbortController().signal);
    this.#records.leave();
  }

  async #drive(): Promise<Cursor> {
    this.#abort = new AbortController();
    while (this.#cursor.run.status === "running") {
      const item = itemAt(this.#schedule, this.#cursor);
      if (item.index === 0) this.#works.begin(this.#cursor.step);
      this.#records.enter(this.#cursor.step, item);
      const error = await this.#attempt(item);
      const usedBytes = this.#records.leave();
      this.#move(advance(this.#schedule, this.#cursor, { kind: "memory", usedBytes }));
      this.#settle(error);
    }
    return this.#cursor;
  }

  /** The error of an item that failed, and changed nothing. */
  async #attempt(item: Item): Promise<TidelineErrorData | undefined> {
    const { signal } = this.#abort;
    try {
      if (item.kind === "action") await this.#performItem(item, item.action, signal);
      else await this.#work(item, signal);
      return undefined;
    } catch (error) {
      return toErrorData(error);
    }
  }

  #settle(error: TidelineErrorData | undefined): void {
    const { step } = this.#cursor;
    const event = error === undefined ? ({ kind: "completed" } as const) : ({ kind: "failed", error } as const);
    const next = advance(this.#schedule, this.#cursor, event);
    if (next.step > step) {
      const record = this.#records.completeStep(step, this.#works.statistics(), this.#works.samples(SAMPLES));
      this.#listener.onStep?.(record);
    }
    this.#move(next);
  }

  async #work(item: Item, signal: AbortSignal): Promise<void> {
    const outcome = applyWork(this.#memory, item.work, this.#schedule.roles);
    if (outcome.kind === "refused") throw this.#problemOf(item);
    const { reads, scratch } = needsOf(item.work, this.#schedule.roles);
    for (const consumer of [...reads, ...scratch]) {
      if (this.#untaken.has(consumer)) await this.#setUp(consumer, item.work, signal);
    }
    const startMs = performance.now();
    try {
      await this.#works.run(item.work, signal);
    } finally {
      this.#records.addWork((performance.now() - startMs) / 1000);
    }
    this.#memory = outcome.state;
  }

  async #performItem(item: Item, action: Action, signal: AbortSignal): Promise<void> {
    const outcome = applyAction(this.#memory, action, this.#schedule.roles);
    if (outcome.kind === "refused") throw this.#problemOf(item);
    await this.#perform(action, outcome, { work: item.work, origin: "schedule" }, signal);
  }

  async #perform(
    action: Action,
    outcome: Exclude<Outcome, { kind: "refused" }>,
    context: Pick<ActionRecord, "work" | "origin">,
    signal: AbortSignal,
  ): Promise<void> {
    const consumer = targetOf(action);
    const gives = action.kind === "release" || action.kind === "offload";
    // What was never taken has nothing to give.
    const isIdle = outcome.kind === "already" || (gives && this.#untaken.has(consumer));
    await this.#record({ ...context, label: describeAction(action), consumer }, async () =>
      isIdle ? undefined : this.#backend.act(action, signal),
    );
    if (outcome.kind === "done" && action.kind !== "offload") this.#untaken.delete(consumer);
    this.#memory = outcome.state;
  }

  async #setUp(consumer: ScheduledConsumer, work: Work, signal: AbortSignal): Promise<void> {
    await this.#record({ work, origin: "set_up", label: `set up ${consumer}`, consumer }, () =>
      this.#backend.setUp(consumer, signal),
    );
    this.#untaken.delete(consumer);
  }

  async #record(
    what: Pick<ActionRecord, "work" | "origin" | "label" | "consumer">,
    act: () => Promise<Receipt | undefined>,
  ): Promise<void> {
    const startSeconds = Date.now() / 1000;
    const startMs = performance.now();
    const receipt = await act();
    const endSeconds = startSeconds + (performance.now() - startMs) / 1000;
    const { step } = this.#cursor;
    const record: ActionRecord = { step, ...what, startSeconds, endSeconds, ...(receipt !== undefined && { receipt }) };
    this.#records.addAction(record);
    this.#listener.onAction?.(record);
  }

  /** Why the item at hand cannot run, with the action that is missing. */
  #problemOf({ index }: Item): TidelineError {
    const problem = foresee(this.#schedule, this.#memory, index);
    if (problem !== undefined) return problemError(problem);
    return new TidelineError({ code: "internal", message: `item ${index} was refused without a reason` });
  }

  #move(cursor: Cursor): void {
    this.#cursor = cursor;
    this.#listener.onCursor?.(cursor);
  }
}

function isTakenAtFirstUse(consumer: ScheduledConsumer): boolean {
  return isScratch(consumer) || consumer.endsWith(".optimizer");
}
