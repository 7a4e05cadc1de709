/** What a prediction says: for every phase the bytes of each consumer, the seconds of work and actions, and the verdict. */
import type { Consumer } from "../../consumers.ts";
import type { Moment } from "../../schedule/check.ts";
import type { Action, Schedule } from "../../schedule/schedule.ts";
import type { ScheduledConsumer, Work } from "../../schedule/works.ts";
import type { EngineFigures } from "../export/figures.ts";
import type { Gpu } from "../gpus/catalogue.ts";
import type { GpuGroup } from "../memory/footprint.ts";
import type { Plan } from "../plan.ts";
import type { Term } from "../provenance.ts";
import type { Transition } from "../transitions/transition.ts";

export interface Prediction {
  readonly plan: Plan;
  readonly gpu: Gpu;
  readonly schedule: Schedule;
  /** Of a GPU, as CUDA reports it. */
  readonly capacityBytes: number;
  /** One kind where trainers and engines share GPUs, else the trainers' and the engines'. */
  readonly gpus: readonly PredictedGpu[];
  /** The kind that holds most. */
  readonly fullest: PredictedGpu;
  readonly phases: readonly PredictedPhase[];
  /** Of a whole PPO step. */
  readonly workSeconds: number;
  readonly memorySeconds: number;
  /** Host memory for what is offloaded, by all GPUs of one host together. */
  readonly hostBytes: number;
  /** What should stay free for what no model foresees: fragmentation above all. */
  readonly marginBytes: number;
  readonly fit: Fit;
  /** In one sentence. */
  readonly verdict: string;
  /** The fullest kind of GPU before a step, and at every item of it. */
  readonly start: ConsumerBytes;
  readonly moments: readonly PredictedMoment[];
  /** For the exports. */
  readonly engine: EngineFigures;
}

/** `tight`: within the capacity, but for the margin. */
export type Fit = "fits" | "tight" | "exceeds";

/** GPUs that hold the same. */
export interface PredictedGpu {
  /** `shared`: trainers and engines on the same ones. */
  readonly kind: "shared" | GpuGroup;
  readonly count: number;
  readonly peakBytes: number;
  /** The first phase that reaches the peak. */
  readonly peakWork: Work;
  /** Negative: so many bytes are missing. */
  readonly headroomBytes: number;
}

export interface PredictedPhase {
  readonly work: Work;
  /** How long the work takes, and what limits it. */
  readonly workTerm: Term;
  readonly memorySeconds: number;
  readonly transitions: readonly PredictedTransition[];
  /** At the phase's highest moment, for each of `Prediction.gpus`. */
  readonly peaks: readonly PhasePeak[];
}

export interface PhasePeak {
  readonly bytes: number;
  /** In the order of CONSUMERS; those that hold nothing are left out. */
  readonly holders: readonly PredictedHolder[];
}

/** A consumer's bytes on one GPU, with their reasons. */
export interface PredictedHolder {
  readonly consumer: Consumer;
  readonly bytes: number;
  readonly terms: readonly Term[];
}

export interface PredictedTransition extends Transition {
  readonly action: Action;
  /** "load policy.optimizer" */
  readonly label: string;
  readonly edge: "before" | "after";
  readonly consumer: ScheduledConsumer;
  readonly totalSeconds: number;
}

/** Every consumer's bytes while an item is done and after it. */
export interface PredictedMoment extends Moment {
  readonly seconds: number;
  readonly during: ConsumerBytes;
  readonly after: ConsumerBytes;
}

export type ConsumerBytes = Readonly<Partial<Record<Consumer, number>>>;
