/**
 * What happened in a run: phases, actions with their receipts, and steps, with the seconds that went into work and into
 * memory, and the peak of the device. Memory only changes with an action, so it is read at every boundary, and a receipt says
 * what came and went within one; the sampler's rows, which arrive a moment later, only confirm that.
 */
import { CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../../core/contract.ts";
import type { Item } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer, Work } from "../../core/schedule/works.ts";
import type { DeviceObservation, Receipt, SampleBatch } from "../../native/addon.d.ts";
import type { Sample, StepStatistics } from "./works.ts";

/** native/addon.d.ts: places among the columns before the consumers', and among a consumer's own. */
const HELD_COLUMN = 5;
const COMMITTED_COLUMN = 1;

export interface ActionRecord {
  /** PPO steps are counted from 0. */
  readonly step: number;
  readonly work: Work;
  /** `set_up`: memory that a consumer of the loop takes for its first use. `by_hand`: not in the schedule. */
  readonly origin: "schedule" | "set_up" | "by_hand";
  /** "offload reference.weights to host" */
  readonly label: string;
  readonly consumer: ScheduledConsumer;
  /** Unix. */
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** Absent where there was nothing to do. */
  readonly receipt?: Receipt;
}

export interface PhaseRecord {
  readonly step: number;
  readonly work: Work;
  /** Unix. */
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly workSeconds: number;
  readonly memorySeconds: number;
  /** Bytes of the device's capacity that were taken at most. */
  readonly peakBytes: number;
}

export interface StepRecord {
  readonly step: number;
  /** Absent when the schedule does not train the policy. */
  readonly statistics?: StepStatistics;
  readonly workSeconds: number;
  readonly memorySeconds: number;
  readonly peakBytes: number;
  readonly phases: readonly PhaseRecord[];
  readonly actions: readonly ActionRecord[];
  /** Some of its rollouts. */
  readonly samples: readonly Sample[];
}

type Growing<T> = { -readonly [Key in keyof T]: T[Key] };

export class RunRecords {
  readonly #observe: () => DeviceObservation;
  readonly #steps: Growing<StepRecord>[] = [];
  #phases: Growing<PhaseRecord>[] = [];
  /** Of the step before: samples of its end arrive when the next has begun. */
  #lastPhases: Growing<PhaseRecord>[] = [];
  #actions: ActionRecord[] = [];
  #peakBytes = 0;
  /** Before the action that is under way. */
  #committedBytes = 0;

  constructor(observe: () => DeviceObservation) {
    this.#observe = observe;
  }

  /** Completed steps. */
  get steps(): readonly StepRecord[] {
    return this.#steps;
  }

  /** The phases of the step under way, and its actions. */
  get phases(): readonly PhaseRecord[] {
    return this.#phases;
  }
  get actions(): readonly ActionRecord[] {
    return this.#actions;
  }

  /** Of the whole run. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** An item begins: its phase too, if it is the first one. */
  enter(step: number, { work }: Item): void {
    const open = this.#phases.at(-1);
    if (open !== undefined && open.step === step && open.work === work) return;
    const now = Date.now() / 1000;
    this.#phases.push({
      step,
      work,
      startSeconds: now,
      endSeconds: now,
      workSeconds: 0,
      memorySeconds: 0,
      peakBytes: this.#takenBytes(),
    });
  }

  addWork(seconds: number): void {
    const phase = this.#phases.at(-1);
    if (phase !== undefined) phase.workSeconds += seconds;
  }

  addAction(action: ActionRecord): void {
    this.#actions.push(action);
    const mostBytes = this.#committedBytes + (action.receipt?.bytesCommitted ?? 0);
    this.#peakBytes = Math.max(this.#peakBytes, mostBytes, this.#takenBytes());
    const phase = this.#phases.at(-1);
    if (phase === undefined) return;
    phase.memorySeconds += action.endSeconds - action.startSeconds;
    raise(phase, mostBytes);
  }

  /** An item is over, one way or the other. @returns the bytes that are taken now. */
  leave(): number {
    const takenBytes = this.#takenBytes();
    this.#peakBytes = Math.max(this.#peakBytes, takenBytes);
    const phase = this.#phases.at(-1);
    if (phase !== undefined) {
      phase.endSeconds = Date.now() / 1000;
      phase.peakBytes = Math.max(phase.peakBytes, takenBytes);
    }
    return takenBytes;
  }

  completeStep(step: number, statistics: StepStatistics | undefined, samples: readonly Sample[]): StepRecord {
    const phases = this.#phases;
    const record: Growing<StepRecord> = {
      step,
      ...(statistics !== undefined && { statistics }),
      workSeconds: sum(phases.map(({ workSeconds }) => workSeconds)),
      memorySeconds: sum(phases.map(({ memorySeconds }) => memorySeconds)),
      peakBytes: Math.max(0, ...phases.map(({ peakBytes }) => peakBytes)),
      phases,
      actions: this.#actions,
      samples,
    };
    this.#steps.push(record);
    this.#lastPhases = phases;
    this.#phases = [];
    this.#actions = [];
    return record;
  }

  /** Rows of the sampler, which lie up to a batch behind. */
  addSamples({ consumers, rows, samples }: SampleBatch): void {
    const columns = rowColumns({ consumers });
    for (let row = 0; row < rows; row++) {
      const at = row * columns;
      let takenBytes = samples[at + HELD_COLUMN] ?? 0;
      for (let consumer = 0; consumer < consumers.length; consumer++) {
        takenBytes += samples[at + HEADER_COLUMNS + CONSUMER_COLUMNS * consumer + COMMITTED_COLUMN] ?? 0;
      }
      this.#peakBytes = Math.max(this.#peakBytes, takenBytes);
      const timeSeconds = samples[at] ?? 0;
      const began = ({ startSeconds }: PhaseRecord) => startSeconds <= timeSeconds;
      const open = this.#phases.findLast(began);
      const closed = open === undefined ? this.#lastPhases.findLast(began) : undefined;
      raise(open ?? closed, takenBytes);
      if (closed !== undefined) raise(this.#steps.at(-1), takenBytes);
    }
  }

  #takenBytes(): number {
    const { committedBytes, heldBytes } = this.#observe();
    this.#committedBytes = committedBytes;
    return committedBytes + heldBytes;
  }
}

function raise(record: { peakBytes: number } | undefined, takenBytes: number): void {
  if (record !== undefined) record.peakBytes = Math.max(record.peakBytes, takenBytes);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
