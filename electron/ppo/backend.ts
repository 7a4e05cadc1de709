/**
 * The verbs that a PPO loop needs of whatever holds its models. `native` (native-backend.ts) is the first. Nothing above
 * this file may assume that models and engine live in this process: all work is asynchronous, and everything is named by
 * role or consumer. A verb that fails has changed nothing, but for training: there, each update is all or nothing.
 */
import type { Receipt } from "../../core/contract/vocabulary.ts";
import type { SizedDevice } from "../../core/run/largest-fit.ts";
import type { MemoryState } from "../../core/schedule/residency.ts";
import type { Action, Swap } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import type {
  CriticSequence,
  CriticStatistics,
  DeviceObservation,
  OptimizerOptions,
  PolicySequence,
  PolicyStatistics,
  PpoAdvantages,
  PpoInputs,
  SampleBatch,
  Sampling,
  TokenScores,
  TrainingSequence,
  UpdateReceipt,
} from "../../native/addon.d.ts";
import type { RecordedDevice } from "./device-peaks.ts";

/** A prompt and the response that the engine gave to it. */
export interface Rollout {
  readonly promptIds: readonly number[];
  readonly responseIds: readonly number[];
  /** `length`: it was cut off. */
  readonly ended: "stop" | "length";
}

export interface RolloutRequest {
  readonly promptIds: readonly number[];
  readonly maxNewTokens: number;
  readonly sampling: Sampling;
}

export interface PolicyUpdate {
  readonly sequences: readonly PolicySequence[];
  readonly clipRange: number;
  readonly entropyCoefficient: number;
  readonly optimizer: OptimizerOptions;
}

export interface CriticUpdate {
  readonly sequences: readonly CriticSequence[];
  readonly clipRange: number;
  readonly optimizer: OptimizerOptions;
}

export interface SavedPolicy {
  readonly path: string;
  readonly bytes: number;
}

/** How bytes that move are told about. */
export type Progress = (doneBytes: number, totalBytes: number) => void;

export type SamplesListener = (batch: SampleBatch, device: string) => void;

export interface PpoBackend {
  readonly name: "native";
  /**
   * Asked for every action of a schedule before it begins.
   * @throws TidelineError `unsupported` for one that this backend cannot do.
   */
  requireSupport(action: Action): void;
  /**
   * Loads the models and leaves their weights where the schedule's step begins with them. What has no contents before its
   * first use is not taken yet: `setUp` does that.
   * @throws the errors of loading and of memory; everything taken is given back.
   */
  prepare(start: MemoryState, signal: AbortSignal, progress?: Progress): Promise<void>;
  /**
   * Takes a consumer's memory for the first time; an optimizer's state then is that of its first step. `host`: of an
   * optimizer whose updates take it from there.
   */
  setUp(consumer: ScheduledConsumer, place: "device" | "host", signal: AbortSignal): Promise<Receipt>;
  /** Does one memory action. */
  act(action: Action, signal: AbortSignal, progress?: Progress): Promise<Receipt>;
  /** Whether an offload of what is on the device has anything to keep: an optimizer has nothing before its first update. */
  hasContents(consumer: ScheduledConsumer): boolean;

  /**
   * Takes host memory for the consumer's next offload, beside whatever else is done; kept from then on.
   * @throws TidelineError `out_of_memory`, `device_lost`, `cancelled`.
   */
  prepareOffload(consumer: ScheduledConsumer, signal: AbortSignal): Promise<Receipt>;

  generate(requests: readonly RolloutRequest[], signal: AbortSignal): Promise<readonly Rollout[]>;
  scoreTokens(
    role: "policy" | "reference",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly TokenScores[]>;
  /** The value of each row from `from`. */
  values(
    role: "critic" | "reward",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]>;
  advantages(inputs: PpoInputs): PpoAdvantages;
  /** One update of the weights; a failed one leaves them as they were. */
  updatePolicy(update: PolicyUpdate, signal: AbortSignal): Promise<PolicyStatistics & UpdateReceipt>;
  updateCritic(update: CriticUpdate, signal: AbortSignal): Promise<CriticStatistics & UpdateReceipt>;

  /** The engine's device, and what lies on others, always in one order. */
  observe(): readonly [DeviceObservation, ...DeviceObservation[]];
  /** The same devices, to be asked after every action. */
  devices(): readonly RecordedDevice[];
  /** On which device a consumer lies; of one that has a part on each, the first. */
  deviceOf(consumer: ScheduledConsumer): string;
  /** Of each device, once `prepare` is done. */
  sizings(): readonly SizedDevice[];
  /** Tells samples of the devices' memory to one more listener, until the backend is closed. */
  onSamples(listener: SamplesListener): void;
  /** Writes the weights of the policy, or the engine's, which are on the device, as a Hugging Face folder. */
  savePolicy(from: Swap["from"], folder: string, signal: AbortSignal, progress?: Progress): Promise<SavedPolicy>;
  close(): Promise<void>;
}
