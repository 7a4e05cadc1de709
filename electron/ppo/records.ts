/**
 * What happened in a run: phases, actions with their receipts, and steps, with the seconds that went into work and into
 * memory, and the peak of the device with who held it. Memory only changes with an action, so it is read after each, and
 * a receipt says what came and went within one; the sampler's rows, which arrive a moment later, only confirm that.
 * Long runs keep their newest steps.
 */
import { CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../../core/contract.ts";
import type { TidelineErrorData } from "../../core/errors.ts";
import type { PhaseRecord, RolloutSample, StepRecord, StepStatistics } from "../../core/run/records.ts";
import type { Measurement } from "../../core/run/state.ts";
import type { Item } from "../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer, type Work } from "../../core/schedule/works.ts";
import type { Holder, Receipt, SampleBatch } from "../../native/addon.d.ts";

/** native/addon.d.ts: places among the columns before the consumers', and among a consumer's own. */
const HELD_COLUMN = 5;
const COMMITTED_COLUMN = 1;
/** Of Date.now(): a sample this close behind the beginning of a phase may be of the phase before. */
const CLOCK_SECONDS = 0.001;

/** Steps that are kept; those of them whose rollouts are, to be read; and whose actions, which whoever is told of a step keeps. */
const KEPT_STEPS = 2000;
const STEPS_WITH_SAMPLES = 50;
const STEPS_WITH_ACTIONS = 5;

export interface ActionRecord {
  /** PPO steps are counted from 0. */
  readonly step: number;
  readonly work: Work;
  /** `set_up`: memory that a consumer of the loop takes for its first use. `by_hand`: not in the schedule. */
  readonly origin: "schedule" | "set_up" | "by_hand";
  readonly kind: Receipt["action"];
  /** "offload reference.weights to host" */
  readonly label: string;
  readonly consumer: ScheduledConsumer;
  /** Unix. */
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** Absent where there was nothing to do, and where it failed. */
  readonly receipt?: Receipt;
  readonly error?: TidelineErrorData;
}

/** A step with what moved memory in it. */
export interface ExecutedStep extends StepRecord {
  readonly actions: readonly ActionRecord[];
}

type Growing<T> = { -readonly [Key in keyof T]: T[Key] };
type Holders = PhaseRecord["holders"];

/** The bytes that are taken, and by whom. */
interface Taken {
  readonly bytes: number;
  readonly holders: readonly Holder[];
}

/** A phase under way: who held its peak is put into words once it is asked for, not at every rise. */
interface OpenPhase extends Growing<Omit<PhaseRecord, "holders">> {
  peakHolders: readonly Holder[];
}

/** What a bucketed swap takes for its length is a region of this consumer. */
const TRANSIENT_HOLDER = "workspace";

export class RunRecords {
  readonly #holders: () => readonly Holder[];
  #steps: Growing<ExecutedStep>[] = [];
  /** Of all completed steps, also of those that are not kept. */
  readonly #totals = { steps: 0, workSeconds: 0, memorySeconds: 0 };
  #phases: OpenPhase[] = [];
  /** Of the step before: samples of its end arrive when the next has begun. */
  #lastPhases: Growing<PhaseRecord>[] = [];
  #actions: ActionRecord[] = [];
  #peakBytes = 0;
  /** Since the last action. */
  #taken: Taken;

  constructor(holders: () => readonly Holder[]) {
    this.#holders = holders;
    this.#taken = this.#read();
  }

  /** The newest completed steps; old ones without their samples and actions. */
  get steps(): readonly ExecutedStep[] {
    return this.#steps;
  }

  /** The phases of the step under way, and its actions. */
  get phases(): readonly PhaseRecord[] {
    return this.#phases.map(recordOf);
  }
  get actions(): readonly ActionRecord[] {
    return this.#actions;
  }

  /** Of the whole run. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** What the whole run took so far, and its completed steps cost. */
  measurement(): Omit<Measurement, "failure"> {
    const { steps, workSeconds, memorySeconds } = this.#totals;
    const mean = (seconds: number) => seconds / Math.max(1, steps);
    return {
      steps,
      peakBytes: this.#peakBytes,
      stepSeconds: mean(workSeconds + memorySeconds),
      memorySeconds: mean(memorySeconds),
    };
  }

  /** An item begins: its phase too, if it is the first one. */
  enter(step: number, { work }: Item): void {
    const open = this.#phases.at(-1);
    if (open !== undefined && open.step === step && open.work === work) return;
    const now = Date.now() / 1000;
    const { bytes: peakBytes, holders: peakHolders } = this.#taken;
    this.#phases.push({
      step,
      work,
      startSeconds: now,
      endSeconds: now,
      workSeconds: 0,
      memorySeconds: 0,
      peakBytes,
      peakHolders,
    });
  }

  addWork(seconds: number): void {
    const phase = this.#phases.at(-1);
    if (phase !== undefined) phase.workSeconds += seconds;
  }

  /** What is done by hand between two items belongs to no phase, and is no cost of the schedule. */
  addAction(action: ActionRecord): void {
    this.#actions.push(action);
    const most = this.#mostDuring(action);
    this.#peakBytes = Math.max(this.#peakBytes, most.bytes);
    const phase = this.#phases.at(-1);
    if (phase === undefined || action.origin === "by_hand") return;
    phase.memorySeconds += action.endSeconds - action.startSeconds;
    raiseOpen(phase, most);
  }

  /** An item is over, one way or the other. @returns the bytes that are taken now. */
  leave(): number {
    const phase = this.#phases.at(-1);
    const taken = this.#taken;
    this.#peakBytes = Math.max(this.#peakBytes, taken.bytes);
    if (phase !== undefined) {
      phase.endSeconds = Date.now() / 1000;
      raiseOpen(phase, taken);
    }
    return taken.bytes;
  }

  /** Something was done by hand. @returns the bytes that are taken now. */
  look(): number {
    const { bytes } = this.#taken;
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    return bytes;
  }

  completeStep(step: number, statistics: StepStatistics | undefined, samples: readonly RolloutSample[]): ExecutedStep {
    const phases = this.#phases.map(recordOf);
    const record: Growing<ExecutedStep> = {
      step,
      ...(statistics !== undefined && { statistics }),
      workSeconds: sum(phases.map(({ workSeconds }) => workSeconds)),
      memorySeconds: sum(phases.map(({ memorySeconds }) => memorySeconds)),
      peakBytes: Math.max(0, ...phases.map(({ peakBytes }) => peakBytes)),
      phases,
      actions: this.#actions,
      samples: [...samples],
    };
    this.#totals.steps += 1;
    this.#totals.workSeconds += record.workSeconds;
    this.#totals.memorySeconds += record.memorySeconds;
    this.#keep(record);
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
      const heldBytes = samples[at + HELD_COLUMN] ?? 0;
      let bytes = heldBytes;
      for (let consumer = 0; consumer < consumers.length; consumer++) bytes += committedBytesAt(samples, at, consumer);
      this.#peakBytes = Math.max(this.#peakBytes, bytes);
      const timeSeconds = samples[at] ?? 0;
      const began = ({ startSeconds }: Pick<PhaseRecord, "startSeconds">) => startSeconds <= timeSeconds;
      const open = this.#phases.findLast(began);
      const closed = open === undefined ? this.#lastPhases.findLast(began) : undefined;
      const phase = open ?? closed;
      // Nothing is lost: what there was between two items is read there.
      if (phase === undefined || timeSeconds - phase.startSeconds < CLOCK_SECONDS || bytes <= phase.peakBytes) continue;
      const holders = consumers.map((consumer, index) => ({ consumer, bytes: committedBytesAt(samples, at, index) }));
      const most = { bytes, holders: [...holders, { consumer: "pool", bytes: heldBytes }] };
      if (open !== undefined) raiseOpen(open, most);
      if (closed !== undefined) this.#raiseClosed(closed, most);
    }
  }

  /** Its step is complete, and has its peak already. */
  #raiseClosed(phase: Growing<PhaseRecord>, { bytes, holders }: Taken): void {
    phase.peakBytes = bytes;
    phase.holders = holdersOf(holders);
    const step = this.#steps.at(-1);
    if (step !== undefined) step.peakBytes = Math.max(step.peakBytes, bytes);
  }

  #keep(record: Growing<ExecutedStep>): void {
    this.#steps.push(record);
    this.#forget(STEPS_WITH_ACTIONS, { actions: [] });
    this.#forget(STEPS_WITH_SAMPLES, { samples: [] });
    if (this.#steps.length > KEPT_STEPS) this.#steps.shift();
  }

  /** Of the step that is no longer among the newest `kept`. */
  #forget(kept: number, nothing: Pick<ExecutedStep, "actions"> | Pick<ExecutedStep, "samples">): void {
    const old = this.#steps.at(-1 - kept);
    // Another object, because whoever was told of the step may keep that one.
    if (old !== undefined) this.#steps.splice(-1 - kept, 1, { ...old, ...nothing });
  }

  #read(): Taken {
    const holders = this.#holders();
    let bytes = 0;
    for (const holder of holders) bytes += holder.bytes;
    return { bytes, holders };
  }

  /** What an action that is over took at most: it may have given something back before it was. */
  #mostDuring({ receipt, error }: ActionRecord): Taken {
    const before = this.#taken;
    if (receipt === undefined && error === undefined) return before;
    const after = this.#read();
    this.#taken = after;
    const mostBytes = before.bytes - pooledBytes(before) + (receipt?.bytesCommitted ?? 0);
    const transientBytes = mostBytes - after.bytes;
    if (transientBytes <= 0) return after;
    return { bytes: mostBytes, holders: [...after.holders, { consumer: TRANSIENT_HOLDER, bytes: transientBytes }] };
  }
}

function recordOf(phase: OpenPhase): Growing<PhaseRecord> {
  const { step, work, startSeconds, endSeconds, workSeconds, memorySeconds, peakBytes, peakHolders } = phase;
  const holders = holdersOf(peakHolders);
  return { step, work, startSeconds, endSeconds, workSeconds, memorySeconds, peakBytes, holders };
}

function raiseOpen(phase: OpenPhase, { bytes, holders }: Taken): void {
  if (bytes <= phase.peakBytes) return;
  phase.peakBytes = bytes;
  phase.peakHolders = holders;
}

function committedBytesAt(samples: Float64Array, rowAt: number, consumer: number): number {
  return samples[rowAt + HEADER_COLUMNS + CONSUMER_COLUMNS * consumer + COMMITTED_COLUMN] ?? 0;
}

function pooledBytes({ holders }: Taken): number {
  return holders.find(({ consumer }) => consumer === "pool")?.bytes ?? 0;
}

/** As a record has them; a swap's bucket is part of the workspace. */
function holdersOf(all: readonly Holder[]): Holders {
  const holders: Holders = {};
  for (const { consumer, bytes } of all) {
    if (bytes > 0 && isHolder(consumer)) holders[consumer] = (holders[consumer] ?? 0) + bytes;
  }
  return holders;
}

const HOLDERS: ReadonlySet<string> = new Set([...SCHEDULED_CONSUMERS, "pool"]);

function isHolder(consumer: string): consumer is ScheduledConsumer | "pool" {
  return HOLDERS.has(consumer);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
