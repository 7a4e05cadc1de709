/**
 * Executes a schedule on a backend, one item at a time: works and memory actions, and nothing implicit. It keeps the
 * cursor (where the run is), the memory (run-memory.ts) and the records (what happened), and asks the pure rules of
 * core/schedule before every item: what they refuse is never begun.
 */
import { TidelineError, toErrorData } from "../../core/errors.ts";
import { checkSchedule, foresee, problemError } from "../../core/schedule/check.ts";
import { advance, type Breakpoint, type Cursor, type Goal, itemAt, START } from "../../core/schedule/cursor.ts";
import {
  applyAction,
  applyWork,
  consumersWith,
  describeMissing,
  type MemoryState,
  needsOf,
} from "../../core/schedule/residency.ts";
import { type Action, type Item, itemsOf, type Schedule, type Swap, targetOf } from "../../core/schedule/schedule.ts";
import { inverseOf } from "../../core/schedule/undo.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import type { Receipt } from "../../native/addon.d.ts";
import type { PpoBackend, Progress, SavedPolicy } from "./backend.ts";
import { Pace } from "./pace.ts";
import { Preparations } from "./preparations.ts";
import { type ActionRecord, type ExecutedStep, RunRecords } from "./records.ts";
import { RunMemory } from "./run-memory.ts";
import type { PpoWorks } from "./works.ts";

/** Rollouts that a step's record shows. */
const SAMPLES = 8;

export interface RunListener {
  readonly onCursor?: (cursor: Cursor) => void;
  /** Also those that failed. */
  readonly onAction?: (action: ActionRecord) => void;
  readonly onStep?: (step: ExecutedStep) => void;
}

export interface RunOptions extends RunListener {
  readonly schedule: Schedule;
  readonly backend: PpoBackend;
  readonly works: PpoWorks;
  /** Stops the loading of the models. */
  readonly signal: AbortSignal;
  /** Of the loading. */
  readonly progress?: Progress;
}

/** An action that was done by hand, and the one that takes it back. */
export interface Undoable {
  readonly action: Action;
  readonly inverse: Action;
}

export class PpoRun {
  readonly schedule: Schedule;
  readonly records: RunRecords;
  readonly #backend: PpoBackend;
  readonly #works: PpoWorks;
  readonly #listener: RunListener;
  readonly #memory: RunMemory;
  readonly #preparations: Preparations;
  readonly #pace = new Pace();
  #cursor: Cursor = START;
  #itemStartedSeconds: number | undefined;
  /** What was done by hand since the last item, as far back as it can be undone. */
  #undoables: readonly Undoable[] = [];
  #abort = new AbortController();
  /** What memory does from now on is no part of the run. */
  #isOver = false;

  private constructor({ schedule, backend, works, ...listener }: RunOptions, start: MemoryState) {
    this.schedule = schedule;
    this.#backend = backend;
    this.#works = works;
    this.#listener = listener;
    this.records = new RunRecords({
      devices: backend.devices(),
      deviceOf: (consumer) => backend.deviceOf(consumer),
    });
    const onAction = (action: ActionRecord) => {
      this.records.addAction(action);
      listener.onAction?.(action);
    };
    this.#memory = new RunMemory(backend, start, onAction);
    this.#preparations = new Preparations(backend, schedule, onAction);
    backend.onSamples((batch, device) => {
      if (!this.#isOver) this.records.addSamples(batch, device);
    });
  }

  /**
   * Checks the schedule, loads the models, and stands before the first item.
   * @throws TidelineError naming the action that is missing in a schedule that cannot run; the backend's errors.
   */
  static async begin(options: RunOptions): Promise<PpoRun> {
    const { schedule, backend, signal, progress } = options;
    const check = checkSchedule(schedule);
    if (!check.ok) throw problemError(check.problem);
    for (const item of itemsOf(schedule)) {
      if (item.kind === "action") backend.requireSupport(item.action);
    }
    await backend.prepare(check.start, signal, progress);
    return new PpoRun(options, check.start);
  }

  get cursor(): Cursor {
    return this.#cursor;
  }

  /** Since when the item at the cursor is being done; undefined between two. */
  get itemStartedSeconds(): number | undefined {
    return this.#itemStartedSeconds;
  }

  /** Where every consumer is by the rules, as if all that the loop keeps resident had been taken already. */
  get memory(): MemoryState {
    return this.#memory.state;
  }

  /** What `undo` would take back. */
  get undoable(): Undoable | undefined {
    return this.#undoables.at(-1);
  }

  /** Each item takes at least so long while the run goes on by itself. */
  get itemSeconds(): number {
    return this.#pace.itemSeconds;
  }
  set itemSeconds(itemSeconds: number) {
    this.#pace.set(itemSeconds);
  }

  /**
   * Runs until the goal, a pause, a breakpoint or a failure; the cursor says which.
   * @throws TidelineError `busy`, at once, while it runs.
   */
  go(goal: Goal): Promise<Cursor> {
    this.#move(advance(this.schedule, this.#cursor, { kind: "go", goal }));
    return this.#drive();
  }

  /**
   * Tries the failed item again and goes on to the goal of before.
   * @throws TidelineError `bad_argument`, at once, when nothing failed.
   */
  retry(): Promise<Cursor> {
    this.#move(advance(this.schedule, this.#cursor, { kind: "retry" }));
    return this.#drive();
  }

  /** Stops at the next boundary. */
  pause(): void {
    this.#move(advance(this.schedule, this.#cursor, { kind: "pause" }));
    this.#pace.hurry();
  }

  /** Stops the item that is under way; what it has not completed is undone. */
  cancel(): void {
    this.#move(advance(this.schedule, this.#cursor, { kind: "cancel" }));
    if (this.#cursor.run.status === "cancelling") this.#abort.abort();
    this.#pace.hurry();
  }

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#move(advance(this.schedule, this.#cursor, { kind: "set_breakpoints", breakpoints }));
  }

  /** @throws TidelineError `busy` while the schedule runs. */
  requirePause(): void {
    const { status } = this.#cursor.run;
    if (status !== "running" && status !== "cancelling") return;
    throw new TidelineError({ code: "busy", message: `the schedule is ${status}`, hint: "pause it first" });
  }

  /**
   * Does an action by hand, between two items. `consequenceOf` says beforehand what it leads to.
   * @returns undefined where it was so already.
   * @throws TidelineError naming what is missing, or `busy` while the schedule runs; the backend's errors.
   */
  async act(action: Action, signal = new AbortController().signal, progress?: Progress): Promise<Receipt | undefined> {
    this.requirePause();
    const before = this.memory;
    const outcome = applyAction(before, action, this.schedule.roles);
    if (outcome.kind === "refused") {
      const { code, consumer, reason, missing, hint: advice } = outcome.refusal;
      const hint = missing.length > 0 ? `first ${describeMissing(missing)}` : advice;
      throw new TidelineError({ code, message: `${consumer} ${reason}`, ...(hint !== undefined && { hint }) });
    }
    this.#backend.requireSupport(action);
    this.#refuseToGiveNothing(action);
    const { work } = itemAt(this.schedule, this.#cursor);
    const context = { step: this.#cursor.step, work, origin: "by_hand" } as const;
    const receipt = await this.#memory.act(action, outcome, context, signal, progress);
    if (outcome.kind === "done") {
      const inverse = inverseOf(before, action);
      this.#undoables = inverse === undefined ? [] : [...this.#undoables, { action, inverse }];
    }
    this.#move(advance(this.schedule, this.#cursor, { kind: "memory", usedBytes: this.records.look() }));
    return receipt;
  }

  /**
   * Takes back what was done by hand last.
   * @throws TidelineError `bad_argument` where nothing can be; what `act` throws.
   */
  async undo(signal?: AbortSignal, progress?: Progress): Promise<Receipt | undefined> {
    const last = this.undoable;
    if (last === undefined) throw new TidelineError({ code: "bad_argument", message: "there is nothing to undo" });
    const rest = this.#undoables.slice(0, -1);
    const receipt = await this.act(last.inverse, signal, progress);
    this.#undoables = rest;
    return receipt;
  }

  /**
   * Writes the policy of the last completed update as a Hugging Face folder.
   * @throws TidelineError `busy` while the schedule runs, `not_resident` while no copy of it is on the device.
   */
  async save(folder: string, signal: AbortSignal, progress?: Progress): Promise<SavedPolicy> {
    this.requirePause();
    const copy = this.#lastPolicy();
    if (this.#isThere(copy)) return this.#backend.savePolicy(copy, folder, signal, progress);
    throw new TidelineError({
      code: "not_resident",
      message: `${copy} is not on the device`,
      hint: `first \`load ${copy}\``,
    });
  }

  /**
   * `save`, when the run is over and nothing is to follow: what is not on the device is loaded for it, and where there is no
   * room, everything else gives up its own.
   * @throws TidelineError `busy` while the schedule runs; the backend's errors.
   */
  async saveAtEnd(folder: string, signal: AbortSignal, progress?: Progress): Promise<SavedPolicy> {
    this.requirePause();
    const copy = this.#lastPolicy();
    if (!this.#isThere(copy)) {
      this.#isOver = true;
      const load = () => this.#backend.act({ kind: "load", consumer: copy }, signal);
      await load().catch(async (error) => {
        if (toErrorData(error).code !== "out_of_memory") throw error;
        await this.#releaseAllBut(copy, signal);
        await load();
      });
    }
    return this.#backend.savePolicy(copy, folder, signal, progress);
  }

  /** Which copy of the policy has the last completed update, one on the device before others. */
  #lastPolicy(): Swap["from"] {
    const copies = (["policy.weights", "engine.weights"] as const).filter(
      (consumer) => this.memory[consumer].contents === "defined",
    );
    const copy = copies.find((consumer) => this.#isThere(consumer)) ?? copies[0];
    if (copy !== undefined) return copy;
    const message = "the weights of the last update were released and are lost";
    throw new TidelineError({ code: "contents_undefined", message });
  }

  #isThere(consumer: ScheduledConsumer): boolean {
    return ["resident", "shared"].includes(this.memory[consumer].residency);
  }

  async #releaseAllBut(kept: ScheduledConsumer, signal: AbortSignal): Promise<void> {
    for (const consumer of consumersWith(this.schedule.roles)) {
      const isTaken = this.memory[consumer].residency === "resident" && !this.#memory.isUntaken(consumer);
      if (!isTaken || consumer === kept) continue;
      await this.#backend.act({ kind: "release", consumer, destination: "return" }, signal);
    }
  }

  async #drive(): Promise<Cursor> {
    this.#abort = new AbortController();
    while (this.#cursor.run.status === "running") {
      const startedMs = performance.now();
      this.#itemStartedSeconds = Date.now() / 1000;
      this.#undoables = [];
      try {
        await this.#do(itemAt(this.schedule, this.#cursor));
        await this.#pace.keep(startedMs, () => this.#goesOnByItself());
        this.#itemStartedSeconds = undefined;
        this.#complete();
      } catch (error) {
        this.#itemStartedSeconds = undefined;
        this.#move(advance(this.schedule, this.#cursor, { kind: "failed", error: toErrorData(error) }));
      }
    }
    return this.#cursor;
  }

  /** Whether another item would follow the one under way. */
  #goesOnByItself(): boolean {
    const { run } = this.#cursor;
    return run.status === "running" && run.pausing === undefined && run.goal.kind !== "action";
  }

  /** @throws the error of an item that failed, and changed nothing. */
  async #do(item: Item): Promise<void> {
    const { signal } = this.#abort;
    if (item.index === 0) this.#works.begin(this.#cursor.step);
    this.records.enter(this.#cursor.step, item);
    try {
      if (item.kind === "action") await this.#actAsScheduled(item, item.action, signal);
      else await this.#work(item, signal);
    } finally {
      this.#move(advance(this.schedule, this.#cursor, { kind: "memory", usedBytes: this.records.leave() }));
    }
  }

  #complete(): void {
    const { step } = this.#cursor;
    const next = advance(this.schedule, this.#cursor, { kind: "completed" });
    if (next.step > step) {
      const record = this.records.completeStep(step, this.#works.statistics(), this.#works.samples(SAMPLES));
      this.#listener.onStep?.(record);
    }
    this.#move(next);
  }

  async #work(item: Item, signal: AbortSignal): Promise<void> {
    const { work } = item;
    const outcome = applyWork(this.memory, work, this.schedule.roles);
    if (outcome.kind === "refused") throw this.#problemOf(item);
    const { reads, scratch } = needsOf(work, this.schedule.roles);
    await this.#memory.setUp([...reads, ...scratch], { step: this.#cursor.step, work }, signal);
    this.#preparations.duringWork(work, this.#cursor.step, signal);
    const startMs = performance.now();
    try {
      await this.#works.run(work, signal);
      this.#memory.become(outcome.state);
    } catch (error) {
      // Copies of what it has written, in backups and in the engine, are older already.
      if (this.#works.hasWritten(work)) this.#memory.become(outcome.state);
      throw error;
    } finally {
      this.records.addWork((performance.now() - startMs) / 1000);
    }
  }

  async #actAsScheduled(item: Item, action: Action, signal: AbortSignal): Promise<void> {
    const outcome = applyAction(this.memory, action, this.schedule.roles);
    if (outcome.kind === "refused") throw this.#problemOf(item);
    const context = { step: this.#cursor.step, work: item.work, origin: "schedule" } as const;
    await this.#memory.act(action, outcome, context, signal);
  }

  /** What by the rules is there, and was never needed so far, has nothing that a person could gain. */
  #refuseToGiveNothing(action: Action): void {
    const consumer = targetOf(action);
    if (action.kind !== "release" && action.kind !== "offload") return;
    if (!this.#memory.isUntaken(consumer)) return;
    throw new TidelineError({
      code: "already_released",
      message: `${consumer} has not been taken yet`,
      hint: "It is taken by the first phase that needs it.",
    });
  }

  /** Why the item at hand cannot run, with the action that is missing. */
  #problemOf({ index }: Item): TidelineError {
    const problem = foresee(this.schedule, this.memory, index);
    if (problem !== undefined) return problemError(problem);
    return new TidelineError({ code: "internal", message: `item ${index} was refused without a reason` });
  }

  #move(cursor: Cursor): void {
    this.#cursor = cursor;
    this.#listener.onCursor?.(cursor);
  }
}
