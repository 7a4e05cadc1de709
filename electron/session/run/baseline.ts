/**
 * The baseline of a run's savings: the same workload and seed with no strategy, really run on devices of its own beside
 * it, with all the memory that the machine has.
 */
import { TidelineError } from "../../../core/errors.ts";
import { fittedTo, largestFitOf } from "../../../core/run/largest-fit.ts";
import type { PlacedDevice } from "../../../core/run/placement.ts";
import type { LargestFit, Measurement } from "../../../core/run/state.ts";
import type { TidelineAddon } from "../../../native/addon.d.ts";
import { baselineOf } from "../../ppo/baseline.ts";
import { using } from "../../ppo/closing.ts";
import type { PpoRun } from "../../ppo/executor.ts";
import type { NativePpoBackend } from "../../ppo/native-backend.ts";
import { startRun } from "../../ppo/start-run.ts";
import { devicesOf, type Workload } from "../../ppo/workload.ts";

export interface BaselineOptions {
  readonly addon: TidelineAddon;
  readonly workload: Workload;
  readonly deviceName: string;
  readonly directory: string;
  readonly steps: number;
  readonly signal: AbortSignal;
  readonly onStep: (completed: number) => void;
}

export interface Baseline {
  readonly measurement: Measurement;
  /** How far sizes could grow within the workload's capacity. */
  readonly largest?: LargestFit;
}

/**
 * Runs the baseline; what stops it on the way is part of the answer.
 * @throws TidelineError `cancelled`, and what loading throws.
 */
export async function measureBaseline(options: BaselineOptions): Promise<Baseline> {
  const { addon, workload, deviceName, directory, steps, signal, onStep } = options;
  const { run, backend } = await startRun({
    addon,
    ...baselineOf(addon, workload, deviceName),
    deviceName,
    directory,
    signal,
    onStep: ({ step }) => onStep(step + 1),
  });
  const cancel = () => run.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await using(backend, async () => {
      if (!signal.aborted) await run.go({ kind: "steps", steps });
      if (signal.aborted) throw new TidelineError({ code: "cancelled", message: "the baseline was cancelled" });
      const largest = largestOf(run, backend, devicesOf(workload, deviceName));
      return { measurement: measurementOf(run), ...(largest !== undefined && { largest }) };
    });
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** What a run took and cost so far, and what stopped it. */
export function measurementOf({ records, cursor }: PpoRun): Measurement {
  return { ...records.measurement(), ...(cursor.run.status === "failed" && { failure: cursor.run.error }) };
}

/** How far sizes could grow within the capacities of `devices`, by the run's measured phases. */
export function largestOf(
  { schedule, records }: PpoRun,
  backend: NativePpoBackend,
  devices: readonly PlacedDevice[],
): LargestFit | undefined {
  const phases = records.steps.flatMap((step) => step.phases);
  return largestFitOf(schedule, fittedTo(devices, backend.sizings()), phases);
}
