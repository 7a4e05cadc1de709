/**
 * The PPO run that has a session's device: steps it, measures its baseline, and says how it stands. What it says is made
 * from the run itself each time; only what was measured beside it is kept: its baseline, and what int8 weights change.
 */
import { TidelineError } from "../../../core/errors.ts";
import type { PlacedDevice } from "../../../core/run/placement.ts";
import type { QuantisedRole } from "../../../core/run/quantisation.ts";
import type { PhaseRecord, StepRecord } from "../../../core/run/records.ts";
import type { LargestFit, RunState, Savings } from "../../../core/run/state.ts";
import type { Breakpoint, Cursor, Goal } from "../../../core/schedule/cursor.ts";
import { type Action, describeAction } from "../../../core/schedule/schedule.ts";
import type { Receipt, SampleBatch, TidelineAddon } from "../../../native/addon.d.ts";
import type { PpoRun, Undoable } from "../../ppo/executor.ts";
import { measureQuantisation } from "../../ppo/measure-quantisation.ts";
import type { NativePpoBackend } from "../../ppo/native-backend.ts";
import type { ActionRecord, ExecutedStep } from "../../ppo/records.ts";
import { type StartedRun, startRun } from "../../ppo/start-run.ts";
import { devicesOf } from "../../ppo/workload.ts";
import type { Work } from "../backend.ts";
import { refuseWhileGenerating } from "../native-engine.ts";
import type { OperationWork } from "../operations.ts";
import { type Baseline, largestOf, measureBaseline, measurementOf } from "./baseline.ts";
import type { RunPlan } from "./plan.ts";
import { RunBackend } from "./run-backend.ts";

/** Who hears of a run. */
export interface SessionRunListener {
  readonly onChange: () => void;
  readonly onAction: (action: ActionRecord) => void;
  readonly onStep: (run: number, step: StepRecord) => void;
  /** `otherDevice`: where it is not the engine's. */
  readonly onSamples: (batch: SampleBatch, otherDevice?: string) => void;
}

export interface SessionRunOptions extends SessionRunListener {
  readonly id: number;
  readonly addon: TidelineAddon;
  readonly plan: RunPlan;
  /** Of all that the workload's placement does not name. */
  readonly deviceName: string;
  readonly samplingHertz: number;
  /** For backups on disk: a folder for this run and one for its baseline are made in it, and removed. */
  readonly directory: string;
}

export class SessionRun {
  readonly backend: RunBackend;
  readonly #options: SessionRunOptions;
  readonly #run: PpoRun;
  readonly #device: NativePpoBackend;
  readonly #devices: readonly PlacedDevice[];
  readonly #quantisation: readonly QuantisedRole[];
  #going: Promise<Cursor> | undefined;
  #measuring: { readonly baseline: Promise<Baseline>; readonly abort: AbortController } | undefined;
  #baseline: Baseline | undefined;
  /** It goes through all recorded phases, and only a completed step changes it. */
  #largest: { readonly steps: number; readonly fit: LargestFit | undefined } = { steps: 0, fit: undefined };

  private constructor(
    options: SessionRunOptions,
    { run, backend: device }: StartedRun,
    int8: readonly QuantisedRole[],
  ) {
    this.#options = options;
    this.#run = run;
    this.#device = device;
    this.#devices = devicesOf(options.plan.workload, options.deviceName);
    this.#quantisation = int8;
    this.backend = new RunBackend({ addon: options.addon, run, device, samplingHertz: options.samplingHertz });
  }

  /**
   * Measures what int8 weights change, where there are some, and loads the models; the run stands before its first item.
   * @throws what measureQuantisation and startRun throw; nothing is left on the device then.
   */
  static async open(options: SessionRunOptions, { signal, progress, part }: OperationWork): Promise<SessionRun> {
    const { id, addon, plan, deviceName, samplingHertz, onChange, onAction, onStep, onSamples } = options;
    const { workload, schedule } = plan;
    const engineDevice = devicesOf(workload, deviceName)[0]?.name;
    const { roles } = schedule;
    part("what int8 changes");
    const int8 = await measureQuantisation({ addon, workload, roles, deviceName, signal, progress });
    part(undefined);
    const started = await startRun({
      addon,
      workload,
      schedule,
      deviceName,
      directory: `${options.directory}/run`,
      signal,
      progress,
      samplingHertz,
      onSamples: (batch, device) => onSamples(batch, device === engineDevice ? undefined : device),
      onCursor: onChange,
      onAction,
      onStep: (step) => onStep(id, told(step)),
    });
    return new SessionRun(options, started, int8);
  }

  state(): RunState {
    const { cursor, itemStartedSeconds, memory, records, itemSeconds, schedule } = this.#run;
    const { undoable } = this;
    return {
      id: this.#options.id,
      workload: this.#options.plan.summary,
      devices: this.#devices.map((device) => ({ ...device, holds: [...device.holds] })),
      schedule,
      cursor,
      ...(itemStartedSeconds !== undefined && { itemStartedSeconds }),
      memory,
      phases: [...records.phases],
      itemSeconds,
      ...(undoable !== undefined && { undo: { label: describeAction(undoable.action) } }),
      savings: this.#savings(),
      quantisation: [...this.#quantisation],
    };
  }

  /** Completed steps that are kept. */
  get steps(): StepRecord[] {
    return this.#run.records.steps.map(told);
  }

  /** All phases that are kept, those of the step under way included. */
  get phases(): readonly PhaseRecord[] {
    const { steps, phases } = this.#run.records;
    return [...steps.flatMap((step) => step.phases), ...phases];
  }

  get undoable(): Undoable | undefined {
    return this.#run.undoable;
  }

  /** Answers at once; the state says how far it has come. @throws TidelineError `busy`. */
  go(goal: Goal): void {
    this.#requireFree();
    this.#going = this.#run.go(goal);
  }

  /** @throws TidelineError `busy`, or `bad_argument` when nothing failed. */
  retry(): void {
    this.#requireFree();
    this.#going = this.#run.retry();
  }

  pause(): void {
    this.#run.pause();
  }

  cancel(): void {
    this.#run.cancel();
  }

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#run.setBreakpoints(breakpoints);
  }

  setPace(itemSeconds: number): void {
    this.#run.itemSeconds = itemSeconds;
  }

  act(action: Action, { signal, progress }: Work): Promise<Receipt | undefined> {
    return this.#run.act(action, signal, progress);
  }

  undo({ signal, progress }: Work): Promise<Receipt | undefined> {
    return this.#run.undo(signal, progress);
  }

  /** @throws TidelineError `busy` while this run goes on, `cancelled`, and what loading throws. */
  async measureBaseline(maxSteps: number, { signal, steps: tell }: OperationWork): Promise<void> {
    this.#run.requirePause();
    this.#refuseWhileMeasuring();
    const { addon, plan, deviceName, directory } = this.#options;
    const steps = Math.max(1, Math.min(maxSteps, this.#run.cursor.step));
    tell(0, steps);
    const abort = new AbortController();
    const baseline = measureBaseline({
      addon,
      workload: plan.workload,
      deviceName,
      directory: `${directory}/baseline`,
      steps,
      signal: AbortSignal.any([signal, abort.signal]),
      onStep: (completed) => tell(completed, steps),
    });
    this.#measuring = { baseline, abort };
    try {
      this.#baseline = await baseline;
    } finally {
      this.#measuring = undefined;
    }
  }

  /** Cancels what runs; resolves when nothing does any more. */
  async stop(): Promise<void> {
    this.#measuring?.abort.abort();
    this.#run.cancel();
    await Promise.allSettled([this.#going, this.#measuring?.baseline]);
  }

  /** After `stop`: gives everything back. */
  close(): Promise<void> {
    return this.#device.close();
  }

  #savings(): Savings {
    const ownLargest = this.#ownLargest();
    const { measurement: baseline, largest: baselineLargest } = this.#baseline ?? {};
    return {
      own: measurementOf(this.#run),
      ...(ownLargest !== undefined && { ownLargest }),
      ...(baseline !== undefined && { baseline }),
      ...(baselineLargest !== undefined && { baselineLargest }),
    };
  }

  #ownLargest(): LargestFit | undefined {
    const steps = this.#run.cursor.step;
    if (this.#largest.steps !== steps) {
      this.#largest = { steps, fit: largestOf(this.#run, this.#device, this.#devices) };
    }
    return this.#largest.fit;
  }

  /** @throws TidelineError `busy` while something else would be measured with it, or would use the engine. */
  #requireFree(): void {
    this.#refuseWhileMeasuring();
    refuseWhileGenerating(this.#device.models.engine);
  }

  #refuseWhileMeasuring(): void {
    if (this.#measuring === undefined) return;
    throw new TidelineError({
      code: "busy",
      message: "the baseline is being measured",
      hint: "Wait until it is done, or cancel it.",
    });
  }
}

/** A step as windows see it: its actions were told one by one. */
function told({ actions: _, ...step }: ExecutedStep): StepRecord {
  return step;
}
