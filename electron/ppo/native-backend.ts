/**
 * The PPO loop's backend in this process: the addon's engine, models and trainers, on one device or on several. It keeps no
 * state of its own; where memory is, is asked of the addon.
 */
import { rm } from "node:fs/promises";
import { ROLES } from "../../core/consumers.ts";
import { assertNever, TidelineError, toErrorData } from "../../core/errors.ts";
import type { SizedDevice, Sizing } from "../../core/run/largest-fit.ts";
import { holdsConsumer, type Placed, type PlacedDevice, refuseSharingAcross } from "../../core/run/placement.ts";
import type { ConsumerMemory, MemoryState } from "../../core/schedule/residency.ts";
import { type Action, describeAction, type Roles, type Swap, targetOf } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import type {
  CriticStatistics,
  DeviceObservation,
  LongOperation,
  NativeDevice,
  NativeTelemetry,
  NativeTrainer,
  OptimizerOptions,
  PolicyStatistics,
  PpoAdvantages,
  PpoInputs,
  Receipt,
  RegionObservation,
  TidelineAddon,
  TokenScores,
  TrainingSequence,
  UpdateReceipt,
} from "../../native/addon.d.ts";
import { makeBackupsFolder } from "../session/backups.ts";
import { cancellationOf } from "../session/cancellation.ts";
import { writeCheckpoint } from "../session/checkpoint.ts";
import type {
  CriticUpdate,
  PolicyUpdate,
  PpoBackend,
  Progress,
  Rollout,
  RolloutRequest,
  SamplesListener,
  SavedPolicy,
} from "./backend.ts";
import { closeAfter, closeAll } from "./closing.ts";
import { collectRollouts } from "./collect-rollouts.ts";
import type { RecordedDevice } from "./device-peaks.ts";
import { NativeModels, namingDevice, scratchBytesOf } from "./native-models.ts";
import { devicesOf, type Workload } from "./workload.ts";

const DEFAULT_SAMPLING_HERTZ = 100;
const BATCH_SECONDS = 0.1;
/** What is read from checkpoints. */
const LOADED = ["engine.weights", ...ROLES.map((role) => `${role}.weights` as const)] as const;

export interface NativePpoBackendOptions {
  readonly addon: TidelineAddon;
  /** Of all that the workload's placement does not name. */
  readonly deviceName: string;
  readonly workload: Workload;
  /** As the schedule has them: the precision of what lies on the device. */
  readonly roles: Roles;
  /** For backups on disk and a value head made of zeros; removed on close. */
  readonly directory: string;
  readonly samplingHertz?: number;
}

interface OpenedDevice extends PlacedDevice {
  readonly device: NativeDevice;
}
/** The engine's first. */
type Devices = readonly [OpenedDevice, ...OpenedDevice[]];

export class NativePpoBackend implements PpoBackend {
  readonly name = "native";
  readonly #options: NativePpoBackendOptions;
  readonly #devices: Devices;
  readonly #telemetry: readonly NativeTelemetry[];
  readonly #sampleListeners: SamplesListener[] = [];
  #models: NativeModels | undefined;

  private constructor(options: NativePpoBackendOptions, devices: Devices) {
    this.#options = options;
    this.#devices = devices;
    const hertz = options.samplingHertz ?? DEFAULT_SAMPLING_HERTZ;
    this.#telemetry = devices.map(({ name, device }) =>
      device.startTelemetry({ hertz, batchSeconds: BATCH_SECONDS }, (batch) => {
        for (const listener of this.#sampleListeners) listener(batch, name);
      }),
    );
  }

  /** @throws the addon's `device_unavailable` and `bad_argument`; no device is left open then. */
  static async open(options: NativePpoBackendOptions): Promise<NativePpoBackend> {
    const { addon, workload, deviceName } = options;
    const { chunkBytes } = workload.settings.device;
    const opened: OpenedDevice[] = [];
    try {
      for (const placed of devicesOf(workload, deviceName)) {
        const { name, capacityBytes } = placed;
        const device = addon.openDevice({ name, capacityBytes, ...(chunkBytes !== undefined && { chunkBytes }) });
        opened.push({ ...placed, device });
      }
      const [first, ...others] = opened;
      if (first === undefined) throw new TidelineError({ code: "internal", message: "a run without a device" });
      return new NativePpoBackend(options, [first, ...others]);
    } catch (error) {
      return closeAfter(
        error,
        opened.map(({ device }) => device),
      );
    }
  }

  requireSupport(action: Action): void {
    refuseSharingAcross(action, {
      engine: this.deviceOf("engine.weights"),
      policy: this.deviceOf("policy.weights"),
    });
    if (action.kind !== "swap") return;
    if (action.from === "policy.weights" || action.method !== "bucketed") return;
    throw new TidelineError({
      code: "unsupported",
      message: `the native backend cannot \`${describeAction(action)}\`: buckets only lead to the engine`,
      hint: "swap by copy",
    });
  }

  async prepare(start: MemoryState, signal: AbortSignal, progress?: Progress): Promise<void> {
    const { directory, ...options } = this.#options;
    makeBackupsFolder(directory);
    const models = await NativeModels.open({ ...options, deviceOf: (placed) => this.#deviceOf(placed) });
    this.#models = models;
    const loaded = this.#devices
      .flatMap(({ device }) => device.observe().regions)
      .filter(({ consumer }) => LOADED.some((name) => name === consumer && isLoaded(start[name])));
    const partOf = progressOf(loaded, progress);
    try {
      for (const name of ROLES) {
        const { residency } = start[`${name}.weights`];
        if (residency === "released") continue;
        await this.#onItsDevice(`${name}.weights`, () =>
          models.loadRole(name, directory, this.#operation(signal, partOf(`${name}.weights`))),
        );
        await this.#put(`${name}.weights`, residency, signal);
      }
      const { residency } = start["engine.weights"];
      if (residency === "released") return;
      const method = residency === "shared" ? "share" : "copy";
      await this.#onItsDevice("engine.weights", () =>
        models.loadEngine(method, this.#operation(signal, partOf("engine.weights"))),
      );
      await this.#put("engine.weights", residency, signal);
    } catch (error) {
      this.#models = undefined;
      return closeAfter(error, [models]);
    }
  }

  /** Where backups on disk go. */
  get directory(): string {
    return this.#options.directory;
  }

  async setUp(consumer: ScheduledConsumer, place: "device" | "host", signal: AbortSignal): Promise<Receipt> {
    return this.#onItsDevice(consumer, () => this.#setUp(consumer, place, signal));
  }

  async #setUp(consumer: ScheduledConsumer, place: "device" | "host", signal: AbortSignal): Promise<Receipt> {
    if (place === "host") return this.models.optimizerOf(consumer).keepOptimizerOnHost(this.#operation(signal));
    return this.models.memoryOf(consumer).resume(this.#operation(signal));
  }

  async act(action: Action, signal: AbortSignal, progress?: Progress): Promise<Receipt> {
    return this.#onItsDevice(targetOf(action), () => this.#act(action, signal, progress));
  }

  hasContents(consumer: ScheduledConsumer): boolean {
    const { regions } = this.#holding(consumer).device.observe();
    return regions.some((region) => region.consumer === consumer && region.contents === "defined");
  }

  async prepareOffload(consumer: ScheduledConsumer, signal: AbortSignal): Promise<Receipt> {
    return this.#holding(consumer).device.prepareBackups(consumer, this.#operation(signal));
  }

  async #act(action: Action, signal: AbortSignal, progress?: Progress): Promise<Receipt> {
    const operation = this.#operation(signal, progress);
    switch (action.kind) {
      case "release":
        return this.models
          .memoryOf(action.consumer)
          .release({ mode: "discard", destination: action.destination, ...operation });
      case "offload":
        return this.models
          .memoryOf(action.consumer)
          .release({ mode: action.to, directory: this.#options.directory, ...operation });
      case "resume":
      case "load":
        return this.models.memoryOf(action.consumer).resume(operation);
      case "swap":
        return this.#swap(action, operation);
      default:
        return assertNever(action);
    }
  }

  generate(requests: readonly RolloutRequest[], signal: AbortSignal): Promise<readonly Rollout[]> {
    const { engine, roles } = this.models;
    const stopTokenIds = roles.policy.checkpoint.config.eosTokenIds;
    return collectRollouts(engine, requests, stopTokenIds, signal);
  }

  scoreTokens(
    role: "policy" | "reference",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly TokenScores[]> {
    return this.models.role(role).trainer.scoreTokens(sequences, this.#operation(signal));
  }

  values(
    role: "critic" | "reward",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]> {
    return this.models.role(role).trainer.values(sequences, this.#operation(signal));
  }

  advantages(inputs: PpoInputs): PpoAdvantages {
    return this.#options.addon.ppoAdvantages(inputs);
  }

  async updatePolicy(update: PolicyUpdate, signal: AbortSignal): Promise<PolicyStatistics & UpdateReceipt> {
    const { sequences, clipRange, entropyCoefficient, optimizer } = update;
    const { trainer } = this.models.roles.policy;
    const options = { clipRange, entropyCoefficient, ...this.#operation(signal) };
    const statistics = await trainer.policyStep(sequences, options);
    return { ...statistics, ...(await applied(trainer, optimizer)) };
  }

  async updateCritic(update: CriticUpdate, signal: AbortSignal): Promise<CriticStatistics & UpdateReceipt> {
    const { sequences, clipRange, optimizer } = update;
    const { trainer } = this.models.roles.critic;
    const statistics = await trainer.criticStep(sequences, { clipRange, ...this.#operation(signal) });
    return { ...statistics, ...(await applied(trainer, optimizer)) };
  }

  observe(): readonly [DeviceObservation, ...DeviceObservation[]] {
    const [first, ...others] = this.#devices;
    return [first.device.observe(), ...others.map(({ device }) => device.observe())];
  }

  devices(): readonly RecordedDevice[] {
    return this.#devices.map(({ name, device }) => ({
      name,
      usage: () => device.usage(),
      holders: () => device.holders(),
    }));
  }

  deviceOf(consumer: ScheduledConsumer): string {
    return this.#holding(consumer).name;
  }

  sizings(): readonly SizedDevice[] {
    return this.#devices.map(({ device, ...placed }) => ({ ...placed, sizing: this.#sizingOf(device) }));
  }

  #sizingOf(device: NativeDevice): Sizing {
    const { workload } = this.#options;
    const { chunkBytes } = device.observe();
    const { blockTokens, bytesPerToken } = this.models.engine.observe().kv;
    const { settings } = workload;
    const inChunks = (bytes: number) => Math.ceil(bytes / chunkBytes) * chunkBytes;
    return {
      chunkBytes,
      kvCache: { bytes: settings.device.kvCacheBytes, bytesPerToken, blockTokens },
      microBatch: settings.microBatch,
      scratchBytes: (microBatch) => {
        try {
          const changed = { ...workload, settings: { ...settings, microBatch } };
          const options = { ...this.#options, workload: changed, deviceOf: (placed: Placed) => this.#deviceOf(placed) };
          const { activationsBytes, logitsBytes } = scratchBytesOf(options, device);
          return inChunks(activationsBytes) + inChunks(logitsBytes);
        } catch (error) {
          if (toErrorData(error).code === "bad_argument") return Number.POSITIVE_INFINITY;
          throw error;
        }
      },
    };
  }

  onSamples(listener: SamplesListener): void {
    this.#sampleListeners.push(listener);
  }

  setSamplingRate(hertz: number): void {
    for (const telemetry of this.#telemetry) telemetry.setRate(hertz);
  }

  /** Gives chunks that the pools hold back to their devices; resolves with their bytes. */
  async trim(): Promise<number> {
    let bytes = 0;
    for (const { device } of this.#devices) bytes += await device.trim();
    return bytes;
  }

  async savePolicy(from: Swap["from"], folder: string, signal: AbortSignal, progress?: Progress): Promise<SavedPolicy> {
    const { engine, roles } = this.models;
    const { policy } = roles;
    const weights = from === "policy.weights" ? policy.model : engine;
    const operation = this.#operation(signal, progress);
    const written = await writeCheckpoint({ folder, like: policy.checkpoint, weights, ...operation });
    return { path: written.path, bytes: written.totalBytes };
  }

  async close(): Promise<void> {
    for (const telemetry of this.#telemetry) telemetry.stop();
    const folder = { close: () => rm(this.#options.directory, { recursive: true, force: true }) };
    const devices = this.#devices.map(({ device }) => device);
    await closeAll([folder, ...devices, ...(this.#models === undefined ? [] : [this.#models])]);
  }

  async #put(consumer: ScheduledConsumer, residency: ConsumerMemory["residency"], signal: AbortSignal): Promise<void> {
    if (residency === "host" || residency === "disk") {
      await this.act({ kind: "offload", consumer, to: residency }, signal);
    }
  }

  async #swap({ from, method, bucketBytes }: Swap, operation: LongOperation): Promise<Receipt> {
    const { engine, roles } = this.models;
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

  /** @throws TidelineError `no_model` before `prepare` is done. */
  get models(): NativeModels {
    if (this.#models !== undefined) return this.#models;
    throw new TidelineError({ code: "no_model", message: "the models of this run are not loaded" });
  }

  /** What lies on several devices says itself which one it was. */
  async #onItsDevice<T>(consumer: ScheduledConsumer, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const own = this.#devices.filter((device) => holdsConsumer(device, consumer));
      throw this.#devices.length === 1 || own.length > 1 ? error : namingDevice(error, this.deviceOf(consumer));
    }
  }

  /** The first of those that hold some of a consumer's memory. */
  #holding(consumer: ScheduledConsumer): OpenedDevice {
    const [first] = this.#devices;
    return this.#devices.find((device) => holdsConsumer(device, consumer)) ?? first;
  }

  #deviceOf(placed: Placed): NativeDevice {
    const [first] = this.#devices;
    return (this.#devices.find(({ holds }) => holds.includes(placed)) ?? first).device;
  }

  /** The addon's progress and cancellation for an operation. */
  #operation(signal: AbortSignal, onProgress?: Progress): LongOperation {
    const told = onProgress === undefined ? {} : { onProgress };
    return { cancellation: cancellationOf(this.#options.addon, signal), ...told };
  }
}

/** The update at the end of a step; where it is refused, what the step has left is no part of the next one. */
async function applied(trainer: NativeTrainer, options: OptimizerOptions): Promise<UpdateReceipt> {
  try {
    return await trainer.optimizerStep(options);
  } catch (error) {
    // Refused itself only where the gradients are gone.
    await trainer.zeroGradients().catch(() => {});
    throw error;
  }
}

function isLoaded({ residency }: ConsumerMemory): boolean {
  return residency !== "released" && residency !== "shared";
}

/** One progress of several loads: each counts with the bytes of the region that it fills. */
function progressOf(
  regions: readonly Pick<RegionObservation, "consumer" | "reservedBytes">[],
  progress: Progress | undefined,
): (consumer: string) => Progress {
  const totalBytes = regions.reduce((sum, { reservedBytes }) => sum + reservedBytes, 0);
  let begunBytes = 0;
  return (consumer) => {
    const ownBytes = regions.find((region) => region.consumer === consumer)?.reservedBytes ?? 0;
    const beforeBytes = begunBytes;
    begunBytes += ownBytes;
    return (done, total) => progress?.(beforeBytes + Math.round((ownBytes * done) / Math.max(1, total)), totalBytes);
  };
}
