/**
 * The PPO loop's backend in this process: the addon's engine, models and trainers on one device. It keeps no state of
 * its own; where memory is, is asked of the addon.
 */
import { mkdir, rm } from "node:fs/promises";
import { ROLES } from "../../core/consumers.ts";
import { assertNever, TidelineError, toErrorData } from "../../core/errors.ts";
import type { Sizing } from "../../core/run/largest-fit.ts";
import type { ConsumerMemory, MemoryState } from "../../core/schedule/residency.ts";
import { type Action, describeAction, type Roles, type Swap } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import type {
  CriticStatistics,
  DeviceObservation,
  LongOperation,
  NativeCancellation,
  NativeDevice,
  NativeTelemetry,
  PolicyStatistics,
  PpoAdvantages,
  PpoInputs,
  Receipt,
  SampleBatch,
  TidelineAddon,
  TokenScores,
  TrainingSequence,
  UpdateReceipt,
} from "../../native/addon.d.ts";
import { writeCheckpoint } from "../session/checkpoint.ts";
import type { CriticUpdate, PolicyUpdate, PpoBackend, Rollout, RolloutRequest } from "./backend.ts";
import { collectRollouts } from "./collect-rollouts.ts";
import { NativeModels, scratchBytesOf } from "./native-models.ts";
import type { Workload } from "./workload.ts";

const SAMPLING_HERTZ = 100;
const BATCH_SECONDS = 0.1;

export interface NativePpoBackendOptions {
  readonly addon: TidelineAddon;
  readonly deviceName: string;
  readonly workload: Workload;
  /** As the schedule has them: the precision of what lies on the device. */
  readonly roles: Roles;
  /** For backups on disk and a value head made of zeros; removed on close. */
  readonly directory: string;
}

export class NativePpoBackend implements PpoBackend {
  readonly name = "native";
  readonly #options: NativePpoBackendOptions;
  readonly #device: NativeDevice;
  readonly #telemetry: NativeTelemetry;
  readonly #cancellations = new WeakMap<AbortSignal, NativeCancellation>();
  #samples: (batch: SampleBatch) => void = () => {};
  #models: NativeModels | undefined;

  /** @throws the addon's `device_unavailable` and `bad_argument`. */
  constructor(options: NativePpoBackendOptions) {
    this.#options = options;
    const { capacityBytes, chunkBytes } = options.workload.settings.device;
    this.#device = options.addon.openDevice({
      name: options.deviceName,
      capacityBytes,
      ...(chunkBytes !== undefined && { chunkBytes }),
    });
    this.#telemetry = this.#device.startTelemetry({ hertz: SAMPLING_HERTZ, batchSeconds: BATCH_SECONDS }, (batch) =>
      this.#samples(batch),
    );
  }

  requireSupport(action: Action): void {
    if (action.kind !== "swap" || action.from === "policy.weights" || action.method !== "bucketed") return;
    throw new TidelineError({
      code: "unsupported",
      message: `the native backend cannot \`${describeAction(action)}\`: buckets only lead to the engine`,
      hint: "swap by copy",
    });
  }

  async prepare(start: MemoryState, signal: AbortSignal): Promise<void> {
    const { directory, ...options } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const models = new NativeModels({ ...options, device: this.#device });
    this.#models = models;
    try {
      for (const name of ROLES) {
        const { residency } = start[`${name}.weights`];
        if (residency === "released") continue;
        await models.loadRole(name, directory, this.#operation(signal));
        await this.#put(`${name}.weights`, residency, signal);
      }
      const { residency } = start["engine.weights"];
      if (residency === "released") return;
      await models.loadEngine(residency === "shared" ? "share" : "copy", this.#operation(signal));
      await this.#put("engine.weights", residency, signal);
    } catch (error) {
      this.#models = undefined;
      await models.close();
      throw error;
    }
  }

  /** Where backups on disk go. */
  get directory(): string {
    return this.#options.directory;
  }

  async setUp(consumer: ScheduledConsumer, signal: AbortSignal): Promise<Receipt> {
    return this.#all().memoryOf(consumer).resume(this.#operation(signal));
  }

  async act(action: Action, signal: AbortSignal): Promise<Receipt> {
    const operation = this.#operation(signal);
    switch (action.kind) {
      case "release":
        return this.#all()
          .memoryOf(action.consumer)
          .release({ mode: "discard", destination: action.destination, ...operation });
      case "offload":
        return this.#all()
          .memoryOf(action.consumer)
          .release({ mode: action.to, directory: this.#options.directory, ...operation });
      case "resume":
      case "load":
        return this.#all().memoryOf(action.consumer).resume(operation);
      case "swap":
        return this.#swap(action, operation);
      default:
        return assertNever(action);
    }
  }

  generate(requests: readonly RolloutRequest[], signal: AbortSignal): Promise<readonly Rollout[]> {
    const { engine, roles } = this.#all();
    const stopTokenIds = roles.policy.checkpoint.config.eosTokenIds;
    return collectRollouts(engine, requests, stopTokenIds, signal);
  }

  scoreTokens(
    role: "policy" | "reference",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly TokenScores[]> {
    return this.#all().role(role).trainer.scoreTokens(sequences, this.#operation(signal));
  }

  values(
    role: "critic" | "reward",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]> {
    return this.#all().role(role).trainer.values(sequences, this.#operation(signal));
  }

  advantages(inputs: PpoInputs): PpoAdvantages {
    return this.#options.addon.ppoAdvantages(inputs);
  }

  async updatePolicy(update: PolicyUpdate, signal: AbortSignal): Promise<PolicyStatistics & UpdateReceipt> {
    const { sequences, clipRange, entropyCoefficient, optimizer } = update;
    const { trainer } = this.#all().roles.policy;
    const options = { clipRange, entropyCoefficient, ...this.#operation(signal) };
    const statistics = await trainer.policyStep(sequences, options);
    return { ...statistics, ...(await trainer.optimizerStep(optimizer)) };
  }

  async updateCritic(update: CriticUpdate, signal: AbortSignal): Promise<CriticStatistics & UpdateReceipt> {
    const { sequences, clipRange, optimizer } = update;
    const { trainer } = this.#all().roles.critic;
    const statistics = await trainer.criticStep(sequences, { clipRange, ...this.#operation(signal) });
    return { ...statistics, ...(await trainer.optimizerStep(optimizer)) };
  }

  observe(): DeviceObservation {
    return this.#device.observe();
  }

  sizing(): Sizing {
    const { addon, workload, roles } = this.#options;
    const { chunkBytes } = this.#device.observe();
    const { blockTokens, bytesPerToken } = this.#all().engine.observe().kv;
    const { settings } = workload;
    const inChunks = (bytes: number) => Math.ceil(bytes / chunkBytes) * chunkBytes;
    return {
      chunkBytes,
      kvCache: { bytes: settings.device.kvCacheBytes, bytesPerToken, blockTokens },
      microBatch: settings.microBatch,
      scratchBytes: (microBatch) => {
        try {
          const changed = { ...workload, settings: { ...settings, microBatch } };
          const { activationsBytes, logitsBytes } = scratchBytesOf({ addon, workload: changed, roles });
          return inChunks(activationsBytes) + inChunks(logitsBytes);
        } catch (error) {
          if (toErrorData(error).code === "bad_argument") return Number.POSITIVE_INFINITY;
          throw error;
        }
      },
    };
  }

  onSamples(listener: (batch: SampleBatch) => void): void {
    this.#samples = listener;
  }

  async savePolicy(folder: string, signal: AbortSignal): Promise<{ readonly path: string; readonly bytes: number }> {
    const { engine, roles } = this.#all();
    const { policy } = roles;
    const { residency, contents } = policy.model.observe();
    // With one policy copy, the engine's is the policy's.
    const weights = residency === "resident" && contents === "defined" ? policy.model : engine;
    const written = await writeCheckpoint({ folder, like: policy.checkpoint, weights, ...this.#operation(signal) });
    return { path: written.path, bytes: written.totalBytes };
  }

  async close(): Promise<void> {
    this.#telemetry.stop();
    await this.#models?.close();
    await this.#device.close();
    await rm(this.#options.directory, { recursive: true, force: true });
  }

  async #put(consumer: ScheduledConsumer, residency: ConsumerMemory["residency"], signal: AbortSignal): Promise<void> {
    if (residency === "host" || residency === "disk") {
      await this.act({ kind: "offload", consumer, to: residency }, signal);
    }
  }

  async #swap({ from, method, bucketBytes }: Swap, operation: LongOperation): Promise<Receipt> {
    const { engine, roles } = this.#all();
    const { model } = roles.policy;
    if (from === "engine.weights") return model.copyFrom(engine, operation);
    return engine.swap({
      source: { kind: "model", model },
      method,
      running: "refuse",
      ...(bucketBytes !== undefined && { bucketBytes }),
      ...operation,
    });
  }

  #all(): NativeModels {
    if (this.#models !== undefined) return this.#models;
    throw new TidelineError({ code: "no_model", message: "the models of this run are not loaded" });
  }

  /** What makes `signal` cancel an operation of the addon: one listener, however many operations it is given to. */
  #operation(signal: AbortSignal): LongOperation {
    const known = this.#cancellations.get(signal);
    if (known !== undefined) return { cancellation: known };
    const cancellation = this.#options.addon.createCancellation();
    signal.addEventListener("abort", () => cancellation.cancel(), { once: true });
    if (signal.aborted) cancellation.cancel();
    this.#cancellations.set(signal, cancellation);
    return { cancellation };
  }
}
