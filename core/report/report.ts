/**
 * What a report of a PPO run says: settings, what was measured of the run and of the baseline beside it, and the step
 * that its pictures show. Everything else that a reader sees is derived from this.
 */
import type { ActionRecord } from "../contract/timeline.ts";
import type { TidelineErrorData } from "../errors.ts";
import type { PlacedDevice } from "../run/placement.ts";
import type { QuantisedRole } from "../run/quantisation.ts";
import type { PhaseRecord, StepRecord } from "../run/records.ts";
import type { LargestFit, Measurement, WorkloadSummary } from "../run/state.ts";
import type { Schedule } from "../schedule/schedule.ts";
import type { Work } from "../schedule/works.ts";
import type { Timeline } from "../timeline/timeline.ts";

export interface RunReport {
  readonly settings: ReportSettings;
  readonly own: ReportedRun;
  /** The same workload with everything resident. */
  readonly baseline?: ReportedRun;
  readonly ending: Ending;
  readonly shownStep?: ShownStep;
  /** One per role whose weights lie on the device as int8. */
  readonly quantisation: readonly QuantisedRole[];
  /** Where the policy was written. */
  readonly savedTo?: string;
  /** Why it could not be. */
  readonly saveFailure?: TidelineErrorData;
}

export interface ReportSettings {
  /** Of Tideline. */
  readonly version: string;
  /** When the run was over: Unix. */
  readonly finishedSeconds: number;
  /** As it was typed. */
  readonly command: string;
  readonly workload: WorkloadSummary;
  readonly askedSteps: number;
  /** The engine's first. */
  readonly devices: readonly ReportedDevice[];
  /** Names and values of the numbers that PPO learns with, in the order in which they are read. */
  readonly learning: readonly (readonly [name: string, value: string])[];
}

export interface ReportedDevice extends PlacedDevice {
  /** "NVIDIA H100 80GB HBM3, 79.2 GiB"; empty where it was not opened. */
  readonly description: string;
}

export type Ending =
  | { readonly kind: "completed" }
  | { readonly kind: "interrupted" }
  /** `place`: "step 1, score_policy". */
  | { readonly kind: "failed"; readonly place: string; readonly error: TidelineErrorData };

export interface ReportedRun {
  readonly schedule: Schedule;
  readonly measurement: Measurement;
  /** Completed ones. */
  readonly steps: readonly StepRecord[];
  /** Of the step that was not completed. */
  readonly openPhases: readonly PhaseRecord[];
  readonly largest?: LargestFit;
}

/** The step that the large picture shows: the last one that was completed, or the one that failed. */
export interface ShownStep {
  /** Counted from 0. */
  readonly step: number;
  /** In the order of the settings'. */
  readonly devices: readonly { readonly name: string; readonly timeline: Timeline }[];
  readonly actions: readonly ReportAction[];
}

export interface ReportAction extends ActionRecord {
  readonly work: Work;
  readonly origin: "schedule" | "set_up" | "ahead" | "by_hand";
}
