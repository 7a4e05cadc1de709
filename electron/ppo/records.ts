/**
 * What happened in a run: phases, actions with their receipts, and steps, with the seconds that went into work and into
 * memory, and the peak of each device with who held it. That is read after each action, and a receipt says what came and
 * went within one; the sampler's rows, which arrive a moment later, only confirm it. Long runs keep their newest steps.
 */
import { CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../../core/contract/timeline.ts";
import { TidelineError, type TidelineErrorData } from "../../core/errors.ts";
import type { PhaseRecord, RolloutSample, StepRecord, StepStatistics } from "../../core/run/records.ts";
import type { Measurement } from "../../core/run/state.ts";
import type { Item } from "../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer, type Work } from "../../core/schedule/works.ts";
import type { Holder, Receipt, SampleBatch } from "../../native/addon.d.ts";
import { DevicePeaks, type Peak, type RecordedDevice } from "./device-peaks.ts";

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
  /**
   * `set_up`: memory that a consumer of the loop takes for its first use. `ahead`: host memory for an offload to come, taken
   * in the background. `by_hand`: not in the schedule.
   */
  readonly origin: "schedule" | "set_up" | "ahead" | "by_hand";
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

/** A phase whose peaks may still rise: who held them is put into words once it is asked for, not at every rise. */
interface OpenPhase extends Growing<Omit<PhaseRecord, "peakBytes" | "holders" | "devices">> {
  /** In the order of the run's devices. */
  readonly peaks: Peak[];
}

export interface RunRecordsOptions {
  readonly devices: readonly RecordedDevice[];
  /** On which device the target of an action lies; left out, there is one. */
  readonly deviceOf?: (consumer: ScheduledConsumer) => string;
}

export class RunRecords {
  readonly #devices: readonly DevicePeaks[];
  readonly #deviceOf: RunRecordsOptions["deviceOf"];
  #steps: Growing<ExecutedStep>[] = [];
  /** Of all completed steps, also of those that are not kept. */
  readonly #totals = { steps: 0, workSeconds: 0, memorySeconds: 0 };
  #phases: OpenPhase[] = [];
  /** Of the step before: samples of its end arrive when the next has begun. */
  #lastPhases: readonly { readonly open: OpenPhase; readonly record: Growing<PhaseRecord> }[] = [];
  #actions: ActionRecord[] = [];

  constructor({ devices, deviceOf }: RunRecordsOptions) {
    this.#devices = devices.map((device) => new DevicePeaks(device));
    this.#deviceOf = deviceOf;
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
    return sum(this.#devices.map(({ runBytes }) => runBytes));
  }

  /** What the whole run took so far, and its completed steps cost. */
  measurement(): Omit<Measurement, "failure"> {
    const { steps, workSeconds, memorySeconds } = this.#totals;
    const mean = (seconds: number) => seconds / Math.max(1, steps);
    return {
      steps,
      peakBytes: this.peakBytes,
      ...(this.#devices.length > 1 && {
        devicePeakBytes: Object.fromEntries(this.#devices.map(({ device, runBytes }) => [device, runBytes])),
      }),
      stepSeconds: mean(workSeconds + memorySeconds),
      memorySeconds: mean(memorySeconds),
    };
  }

  /** An item begins: its phase too, if it is the first one. */
  enter(step: number, { work }: Item): void {
    const open = this.#phases.at(-1);
    if (open !== undefined && open.step === step && open.work === work) return;
    const now = Date.now() / 1000;
    const peaks = this.#devices.map((device) => device.now());
    this.#phases.push({ step, work, startSeconds: now, endSeconds: now, workSeconds: 0, memorySeconds: 0, peaks });
  }

  addWork(seconds: number): void {
    const phase = this.#phases.at(-1);
    if (phase !== undefined) phase.workSeconds += seconds;
  }

  /** What is done by hand between two items belongs to no phase, and is no cost of the schedule. */
  addAction(action: ActionRecord): void {
    this.#actions.push(action);
    // Takes nothing of a device, and ends while another action may be under way: a reading now would count that one's memory twice.
    if (action.origin === "ahead") return;
    const phase = action.origin === "by_hand" ? undefined : this.#phases.at(-1);
    if (phase !== undefined) phase.memorySeconds += action.endSeconds - action.startSeconds;
    // Where there was nothing to do, there is nothing to read.
    if (action.receipt === undefined && action.error === undefined) return;
    const committedBytes = action.receipt?.bytesCommitted ?? 0;
    const itsDevice = this.#deviceOf?.(action.consumer) ?? this.#devices[0]?.device;
    for (let index = 0; index < this.#devices.length; index++) {
      const device = at(this.#devices, index);
      const transientBytes = device.readAfter(device.device === itsDevice ? committedBytes : 0);
      device.raiseRun(device.takenBytes + transientBytes);
      if (phase !== undefined) phase.peaks[index] = device.raised(at(phase.peaks, index), transientBytes);
    }
  }

  /** An item is over, one way or the other. @returns the bytes that are taken now. */
  leave(): number {
    const phase = this.#phases.at(-1);
    if (phase !== undefined) {
      phase.endSeconds = Date.now() / 1000;
      // What was done by hand before it.
      for (let index = 0; index < this.#devices.length; index++) {
        phase.peaks[index] = at(this.#devices, index).raised(at(phase.peaks, index), 0);
      }
    }
    return this.look();
  }

  /** Something was done by hand. @returns the bytes that are taken now. */
  look(): number {
    let bytes = 0;
    for (const device of this.#devices) {
      device.raiseRun(device.takenBytes);
      bytes += device.takenBytes;
    }
    return bytes;
  }

  completeStep(step: number, statistics: StepStatistics | undefined, samples: readonly RolloutSample[]): ExecutedStep {
    const phases = this.#phases.map(recordOf);
    const record: Growing<ExecutedStep> = {
      step,
      ...(statistics !== undefined && { statistics }),
      workSeconds: sum(phases.map(({ workSeconds }) => workSeconds)),
      memorySeconds: sum(phases.map(({ memorySeconds }) => memorySeconds)),
      peakBytes: peakOfAll(this.#phases),
      phases,
      actions: this.#actions,
      samples: [...samples],
    };
    this.#totals.steps += 1;
    this.#totals.workSeconds += record.workSeconds;
    this.#totals.memorySeconds += record.memorySeconds;
    this.#keep(record);
    this.#lastPhases = phases.map((closed, index) => ({ open: at(this.#phases, index), record: closed }));
    this.#phases = [];
    this.#actions = [];
    return record;
  }

  /** Rows of the sampler of a device, the only one where it is left out, which lie up to a batch behind. */
  addSamples({ consumers, rows, samples }: SampleBatch, device?: string): void {
    const index = device === undefined ? 0 : this.#devices.findIndex((sampled) => sampled.device === device);
    const sampled = this.#devices[index];
    if (sampled === undefined) return;
    const columns = rowColumns({ consumers });
    for (let row = 0; row < rows; row++) {
      const first = row * columns;
      const heldBytes = samples[first + HELD_COLUMN] ?? 0;
      let bytes = heldBytes;
      for (let position = 0; position < consumers.length; position++)
        bytes += committedBytesAt(samples, first, position);
      sampled.raiseRun(bytes);
      const timeSeconds = samples[first] ?? 0;
      const began = ({ startSeconds }: Pick<PhaseRecord, "startSeconds">) => startSeconds <= timeSeconds;
      const open = this.#phases.findLast(began);
      const closed = open === undefined ? this.#lastPhases.findLast(({ record }) => began(record)) : undefined;
      const phase = open ?? closed?.open;
      // Nothing is lost: what there was between two items is read there.
      if (phase === undefined || timeSeconds - phase.startSeconds < CLOCK_SECONDS) continue;
      if (bytes <= at(phase.peaks, index).bytes) continue;
      const held = consumers.map((consumer, position) => ({
        consumer,
        bytes: committedBytesAt(samples, first, position),
      }));
      const holders = [...held, { consumer: "pool", bytes: heldBytes }];
      phase.peaks[index] = { device: sampled.device, bytes, holders };
      if (closed !== undefined) this.#tellAgain(closed.record, closed.open);
    }
  }

  /** Of a phase that rose when its step was complete. */
  #tellAgain(record: Growing<PhaseRecord>, phase: OpenPhase): void {
    Object.assign(record, peaksOf(phase));
    const step = this.#steps.at(-1);
    if (step !== undefined) step.peakBytes = peakOfAll(this.#lastPhases.map(({ open }) => open));
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
}

function recordOf(phase: OpenPhase): Growing<PhaseRecord> {
  const { step, work, startSeconds, endSeconds, workSeconds, memorySeconds } = phase;
  return { step, work, startSeconds, endSeconds, workSeconds, memorySeconds, ...peaksOf(phase) };
}

function peaksOf({ peaks }: OpenPhase): Pick<PhaseRecord, "peakBytes" | "holders" | "devices"> {
  const peakBytes = sum(peaks.map(({ bytes }) => bytes));
  const holders = holdersOf(peaks.flatMap((peak) => peak.holders));
  if (peaks.length === 1) return { peakBytes, holders };
  const devices = peaks.map(({ device, bytes, holders: own }) => [
    device,
    { peakBytes: bytes, holders: holdersOf(own) },
  ]);
  return { peakBytes, holders, devices: Object.fromEntries(devices) };
}

/** The peaks of each device in some phases, together. */
function peakOfAll(phases: readonly OpenPhase[]): number {
  const [first] = phases;
  if (first === undefined) return 0;
  return sum(first.peaks.map((_, index) => Math.max(...phases.map(({ peaks }) => at(peaks, index).bytes))));
}

/** An element that is there: a run has the same devices all the time. */
function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element !== undefined) return element;
  throw new TidelineError({ code: "internal", message: `there is no element ${index} of ${list.length}` });
}

function committedBytesAt(samples: Float64Array, rowAt: number, consumer: number): number {
  return samples[rowAt + HEADER_COLUMNS + CONSUMER_COLUMNS * consumer + COMMITTED_COLUMN] ?? 0;
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
