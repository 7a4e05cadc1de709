/** Runs a schedule to its end, whatever that is, and says what was measured on the way. */
import { join } from "node:path";
import { type TidelineErrorData, toErrorData } from "../../../core/errors.ts";
import type { Ending, ReportedDevice, ReportedRun, ShownStep } from "../../../core/report/report.ts";
import { fittedTo, largestFitOf } from "../../../core/run/largest-fit.ts";
import type { PlacedDevice } from "../../../core/run/placement.ts";
import type { StepRecord } from "../../../core/run/records.ts";
import type { Measurement } from "../../../core/run/state.ts";
import { type Cursor, itemAt } from "../../../core/schedule/cursor.ts";
import { describePlace, type Schedule } from "../../../core/schedule/schedule.ts";
import { using } from "../../ppo/closing.ts";
import type { PpoRun } from "../../ppo/executor.ts";
import type { NativePpoBackend } from "../../ppo/native-backend.ts";
import { type StartedRun, startRun } from "../../ppo/start-run.ts";
import type { Workload } from "../../ppo/workload.ts";
import { RunRecorder } from "../../report/recorder.ts";
import { loadAddon } from "../../session/addon.ts";
import { ownBackupsFolder } from "../../session/backups.ts";
import { backupsPath, surroundings } from "../../session/paths.ts";

export interface Execution {
  readonly workload: Workload;
  readonly schedule: Schedule;
  readonly deviceName: string;
  readonly steps: number;
  /** Ctrl-C. */
  readonly stopped: AbortSignal;
  /** Where the policy is written when done. */
  readonly save?: string;
  /** What the largest sizes that fit are to fit in: the baseline itself has more. */
  readonly fitDevices: readonly PlacedDevice[];
  /** Keeps memory over time, for a report. */
  readonly recording: boolean;
  readonly onStep?: (step: StepRecord) => void;
}

export interface Outcome extends ReportedRun {
  readonly ending: Ending;
  /** The engine's first. */
  readonly devices: readonly ReportedDevice[];
  readonly saved?: string;
  /** Why the policy is not where `save` names it. */
  readonly saveFailure?: TidelineErrorData;
  /** With `recording`, of a run that came to its first phase. */
  readonly shownStep?: ShownStep;
}

/** @throws TidelineError what starting a run throws, but for a device that is too small: that is an outcome. */
export async function execute(execution: Execution): Promise<Outcome> {
  const { workload, schedule, deviceName, stopped, onStep, recording } = execution;
  const recorder = recording ? new RunRecorder() : undefined;
  let started: StartedRun;
  try {
    started = await startRun({
      addon: loadAddon(),
      workload,
      schedule,
      deviceName,
      directory: join(ownBackupsFolder(backupsPath(surroundings())), "ppo"),
      signal: stopped,
      ...recorder?.listener,
      onStep: (step) => {
        recorder?.listener.onStep?.(step);
        onStep?.(step);
      },
    });
  } catch (error) {
    const data = toErrorData(error);
    if (data.code !== "out_of_memory") throw error;
    return tooSmall(execution, data);
  }
  const { run, backend } = started;
  recorder?.watch(() => backend.observe());
  const pause = () => run.pause();
  stopped.addEventListener("abort", pause, { once: true });
  return using(backend, async () => {
    const cursor = stopped.aborted ? run.cursor : await run.go({ kind: "steps", steps: execution.steps });
    return outcomeOf(execution, started, recorder, endingOf(schedule, cursor, stopped));
  }).finally(() => stopped.removeEventListener("abort", pause));
}

async function outcomeOf(
  { schedule, save, fitDevices }: Execution,
  { run, backend }: StartedRun,
  recorder: RunRecorder | undefined,
  ending: Ending,
): Promise<Outcome> {
  const { records } = run;
  const phases = records.steps.flatMap((step) => step.phases);
  const largest = largestFitOf(schedule, fittedTo(fitDevices, backend.sizings()), phases);
  const last = records.steps.at(-1);
  const shownStep =
    last === undefined || ending.kind === "failed"
      ? recorder?.shownStep(records.phases, records.actions)
      : recorder?.shownStep(last.phases, last.actions);
  const measured = {
    schedule,
    steps: recorder?.withFirst(records.steps) ?? records.steps,
    openPhases: records.phases,
    measurement: withFailure(records.measurement(), ending),
    ending,
    devices: describeDevices(backend),
    ...(largest && { largest }),
    ...(shownStep && { shownStep }),
  };
  return save === undefined ? measured : { ...measured, ...(await savePolicy(run, save)) };
}

/** What a run has learned and measured is told also where its policy could not be written. */
async function savePolicy(run: PpoRun, folder: string): Promise<Pick<Outcome, "saved" | "saveFailure">> {
  try {
    const { path } = await run.saveAtEnd(folder, new AbortController().signal);
    return { saved: path };
  } catch (error) {
    return { saveFailure: toErrorData(error) };
  }
}

function describeDevices(backend: NativePpoBackend): readonly ReportedDevice[] {
  const observed = backend.observe();
  return backend.sizings().map(({ name, capacityBytes, holds }) => {
    const { description = "" } = observed.find((device) => device.name === name) ?? {};
    return { name, description, capacityBytes, holds };
  });
}

/** The models of a run do not even fit before its first step. */
function tooSmall({ schedule, fitDevices }: Execution, error: TidelineErrorData): Outcome {
  const ending: Ending = { kind: "failed", place: "loading the models", error };
  const nothing = { steps: 0, peakBytes: 0, stepSeconds: 0, memorySeconds: 0 };
  return {
    schedule,
    steps: [],
    openPhases: [],
    measurement: withFailure(nothing, ending),
    ending,
    devices: fitDevices.map((device) => ({ ...device, description: "" })),
  };
}

function endingOf(schedule: Schedule, cursor: Cursor, stopped: AbortSignal): Ending {
  if (cursor.run.status === "failed") {
    const place = `step ${cursor.step + 1}, ${describePlace(itemAt(schedule, cursor))}`;
    return { kind: "failed", place, error: cursor.run.error };
  }
  return { kind: stopped.aborted ? "interrupted" : "completed" };
}

function withFailure(measurement: Measurement, ending: Ending): Measurement {
  if (ending.kind !== "failed") return measurement;
  const { place, error } = ending;
  return { ...measurement, failure: { ...error, message: `${place}: ${error.message}` } };
}
