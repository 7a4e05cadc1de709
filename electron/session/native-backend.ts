/**
 * The backend in this process: the addon's device, engine and models behind the verbs of backend.ts. It keeps no state
 * of its own beyond which checkpoint lies where; everything else is asked of the addon.
 */
import { rm } from "node:fs/promises";
import { engineConsumer, type Role } from "../../core/consumers.ts";
import type { CheckpointSummary } from "../../core/contract/state.ts";
import type { PauseMode } from "../../core/contract/vocabulary.ts";
import { TidelineError } from "../../core/errors.ts";
import type { LinkMeasurement } from "../../core/link-measurement.ts";
import type {
  GenerationEvent,
  LongOperation,
  NativeDevice,
  NativeEngine,
  NativeModel,
  NativeTelemetry,
  Receipt,
  SampleBatch,
  SwapSource,
  TidelineAddon,
} from "../../native/addon.d.ts";
import type {
  Backend,
  BackendObservation,
  BackendRequest,
  BackendSettings,
  ReleaseRequest,
  SwapRequest,
  Work,
} from "./backend.ts";
import { makeBackupsFolder, ownBackupsFolder } from "./backups.ts";
import { cancellationOf } from "./cancellation.ts";
import { type Checkpoint, writeCheckpoint } from "./checkpoint.ts";
import { modelConsumer, verbsOf } from "./consumer-verbs.ts";
import { type LoanListener, Loans } from "./loans.ts";
import { measureLink } from "./measure-link.ts";
import {
  cancelGeneration,
  type LoadedEngine,
  observeEngine,
  refuseWhileGenerating,
  startGeneration,
} from "./native-engine.ts";
import { checkpointSummary, openDevice } from "./native-observation.ts";
import { replaceEngine } from "./replace-engine.ts";

const BATCH_SECONDS = 0.1;
/** The device that is always there. */
const HOST = "host";
const ENGINE_WEIGHTS = engineConsumer("weights");

interface Beside {
  readonly model: NativeModel;
  readonly checkpoint: Checkpoint;
}

/** What a device holds, without its memory. */
export interface DeviceContents {
  readonly engine?: Checkpoint;
  readonly models: readonly { readonly role: Role; readonly checkpoint: Checkpoint }[];
}

export class NativeBackend implements Backend {
  readonly name = "native";
  readonly #addon: TidelineAddon;
  /** For backups to disk: this process's own folder, made for the first one and removed in the end. */
  readonly #backups: string;
  readonly #models = new Map<Role, Beside>();
  readonly #loans = new Loans();
  #settings: BackendSettings;
  #device: NativeDevice;
  #telemetry: NativeTelemetry | undefined;
  #samples: (batch: SampleBatch) => void = () => {};
  #loaded: LoadedEngine | undefined;

  /** @throws the addon's `device_unavailable`. */
  constructor(addon: TidelineAddon, settings: BackendSettings, backupsFolder: string) {
    this.#addon = addon;
    this.#settings = settings;
    this.#backups = ownBackupsFolder(backupsFolder);
    this.#device = addon.openDevice({ name: settings.device, capacityBytes: settings.capacityBytes });
    this.#startTelemetry();
  }

  observe(): BackendObservation {
    const engine = this.#loaded && observeEngine(this.#loaded, this.#addon);
    const { device, consumers } = openDevice(this.#device.observe());
    return {
      device,
      consumers: this.#loans.shownIn(consumers),
      otherDevices: [],
      samplingHertz: this.#settings.samplingHertz,
      models: [...this.#models].map(([role, { checkpoint }]) => ({
        role,
        consumer: modelConsumer(role),
        checkpoint: this.#summary(checkpoint),
      })),
      ...(engine && { engine }),
    };
  }

  async configure(changes: Partial<BackendSettings>, work: Work): Promise<void> {
    const next: BackendSettings = { ...this.#settings, ...changes };
    if (changes.device !== undefined && this.#device.observe().lost !== undefined) {
      await this.#replaceLost(next, work);
    } else if (next.device !== this.#settings.device) {
      await this.#moveTo(next, work);
    } else {
      await this.#resize(next, work);
    }
    if (next.samplingHertz !== this.#settings.samplingHertz) this.#telemetry?.setRate(next.samplingHertz);
    this.#settings = next;
  }

  async open(checkpoint: Checkpoint, work: Work): Promise<Receipt> {
    this.#refuseLost();
    return this.#open(checkpoint, this.#settings, work);
  }

  async loadModel(role: Role, checkpoint: Checkpoint, work: Work): Promise<Receipt> {
    this.#refuseLost();
    if (this.#models.has(role)) {
      throw new TidelineError({
        code: "busy",
        message: `there is a ${role} model on the device already`,
        hint: `Unload the ${role} model first.`,
      });
    }
    const { config, dtype, tensors } = checkpoint;
    const model = this.#addon.createModel(this.#device, { config, dtype, consumer: modelConsumer(role) });
    try {
      const receipt = await model.load(tensors, this.#operation(work));
      this.#models.set(role, { model, checkpoint });
      return receipt;
    } catch (error) {
      await model.close();
      throw error;
    }
  }

  async unloadModel(role: Role): Promise<Receipt> {
    const startedMs = performance.now();
    const { model } = this.#beside(role);
    const { consumer, committedBytes } = model.observe();
    await model.close();
    this.#models.delete(role);
    await this.#loans.over(consumer);
    return {
      action: "release",
      consumer,
      method: "discard",
      bytesFreed: committedBytes,
      bytesRetained: 0,
      bytesCommitted: 0,
      bytesCopied: 0,
      milliseconds: performance.now() - startedMs,
    };
  }

  async release({ consumer, mode, destination }: ReleaseRequest, work: Work): Promise<Receipt> {
    this.#refuseLost();
    if (mode === "disk") makeBackupsFolder(this.#backups);
    const options = { mode, destination, directory: this.#backups, ...this.#operation(work) };
    return this.#verbsOf(consumer).release(options);
  }

  async resume(consumer: string, work: Work): Promise<Receipt> {
    this.#refuseLost();
    return this.#verbsOf(consumer).resume(this.#operation(work));
  }

  async swap({ source, method, bucketBytes, running }: SwapRequest, work: Work): Promise<Receipt> {
    this.#refuseLost();
    const { engine, checkpoint: before } = this.#engine();
    const isLent = this.#loans.of(ENGINE_WEIGHTS) !== undefined;
    const { from, checkpoint = before } = this.#sourceOf(source);
    const receipt = await engine.swap({
      source: from,
      // What is lent stays what the engine reads, unless it is asked otherwise.
      method: method === "auto" && isLent ? "copy" : method,
      ...(bucketBytes !== undefined && { bucketBytes }),
      running,
      ...this.#operation(work),
    });
    this.#loaded = { engine, checkpoint, ...(source.kind === "process" && { handedOver: true }) };
    if (receipt.method === "share") await this.#loans.over(ENGINE_WEIGHTS);
    return receipt;
  }

  async lend(consumer: string, socket: string): Promise<void> {
    this.#refuseLost();
    const verbs = this.#verbsOf(consumer);
    const reads = this.#device.observe().regions.find((region) => region.consumer === consumer)?.sharedWith;
    await this.#loans.lend({ consumer, reads, lendable: "share" in verbs ? verbs : undefined }, socket);
  }

  async endLoan(consumer: string): Promise<void> {
    await this.#loans.end(consumer);
  }

  onLoans(listener: LoanListener): void {
    this.#loans.listen(listener);
  }

  async trim(): Promise<number> {
    return this.#device.trim();
  }

  async measureLink(work: Work): Promise<LinkMeasurement> {
    this.#refuseLost();
    if (this.#loaded) refuseWhileGenerating(this.#loaded.engine);
    return measureLink(this.#device, this.#operation(work), work.progress);
  }

  async generate(
    requests: readonly BackendRequest[],
    onEvents: (events: readonly GenerationEvent[]) => void,
  ): Promise<number> {
    this.#refuseLost();
    return startGeneration(this.#engine(), requests, onEvents);
  }

  async cancel(generation: number): Promise<void> {
    cancelGeneration(this.#engine().engine, generation);
  }

  async pause(mode: PauseMode): Promise<void> {
    await this.#engine().engine.pause(mode);
  }

  async continue(): Promise<void> {
    await this.#engine().engine.continue();
  }

  async save(folder: string, work: Work): Promise<{ readonly path: string; readonly bytes: number }> {
    this.#refuseLost();
    const { engine, checkpoint } = this.#engine();
    const written = await writeCheckpoint({ folder, like: checkpoint, weights: engine, ...this.#operation(work) });
    return { path: written.path, bytes: written.totalBytes };
  }

  onSamples(listener: (batch: SampleBatch) => void): void {
    this.#samples = listener;
  }

  /**
   * Takes everything off the device and samples it no more, so that somebody else can have it until `comeBack`.
   * @returns what lay there, for `open` and `loadModel` to bring back.
   * @throws TidelineError `busy` while the engine generates, `shared` while another process has weights mapped.
   */
  async vacate(): Promise<DeviceContents> {
    if (this.#loaded) refuseWhileGenerating(this.#loaded.engine);
    this.#loans.refuseMapped();
    const contents = {
      ...(this.#loaded && { engine: this.#loaded.checkpoint }),
      models: [...this.#models].map(([role, { checkpoint }]) => ({ role, checkpoint })),
    };
    this.#telemetry?.stop();
    await this.#unload();
    await this.#device.trim();
    return contents;
  }

  /** Samples the device again, which is empty. */
  comeBack(samplingHertz: number): void {
    this.#settings = { ...this.#settings, samplingHertz };
    this.#startTelemetry();
  }

  async close(): Promise<void> {
    await this.#leaveDevice();
    await rm(this.#backups, { recursive: true, force: true });
  }

  #summary(checkpoint: Checkpoint): CheckpointSummary {
    return checkpointSummary(checkpoint, this.#addon.weightBytes(checkpoint.config, checkpoint.dtype));
  }

  async #open(checkpoint: Checkpoint, settings: BackendSettings, work: Work): Promise<Receipt> {
    if (this.#loaded) refuseWhileGenerating(this.#loaded.engine);
    this.#loans.refuseMapped(ENGINE_WEIGHTS);
    const { engine, receipt } = await replaceEngine({
      addon: this.#addon,
      device: this.#device,
      checkpoint,
      kvCacheBytes: settings.kvCacheBytes,
      capacityBytes: settings.capacityBytes,
      operation: this.#operation(work),
      ...(this.#loaded ? { previous: this.#loaded.engine } : {}),
    });
    this.#loaded = { engine, checkpoint };
    await this.#loans.over(ENGINE_WEIGHTS);
    return receipt;
  }

  /** Capacity grows before a larger cache is taken and shrinks after a smaller one is; undone when that fails. */
  async #resize(next: BackendSettings, work: Work): Promise<void> {
    const before = this.#settings;
    const grows = next.capacityBytes > before.capacityBytes;
    const isOtherCache = next.kvCacheBytes !== before.kvCacheBytes;
    const takeCache = async (settings: BackendSettings, taking: Work) => {
      if (isOtherCache && this.#loaded) await this.#open(this.#loaded.checkpoint, settings, taking);
    };
    if (grows) this.#device.setCapacity(next.capacityBytes);
    try {
      await takeCache(next, work);
    } catch (error) {
      if (grows) this.#device.setCapacity(before.capacityBytes);
      throw error;
    }
    if (grows) return;
    try {
      this.#device.setCapacity(next.capacityBytes);
    } catch (error) {
      // Not to be cancelled: half of what was asked for would stay.
      await takeCache(before, { ...work, signal: new AbortController().signal });
      throw error;
    }
  }

  /** Opens the checkpoint on another device, then leaves this one with everything on it. */
  async #moveTo(next: BackendSettings, work: Work): Promise<void> {
    if (this.#loaded) refuseWhileGenerating(this.#loaded.engine);
    this.#loans.refuseMapped();
    const device = this.#addon.openDevice({ name: next.device, capacityBytes: next.capacityBytes });
    let engine: NativeEngine | undefined;
    try {
      if (this.#loaded) {
        const { checkpoint } = this.#loaded;
        const operation = this.#operation(work);
        const { kvCacheBytes, capacityBytes } = next;
        const replacement = { addon: this.#addon, device, checkpoint, kvCacheBytes, capacityBytes, operation };
        ({ engine } = await replaceEngine(replacement));
      }
      // Again: loading may have taken minutes.
      this.#loans.refuseMapped();
    } catch (error) {
      await engine?.close();
      await device.close();
      throw error;
    }
    const checkpoint = this.#loaded?.checkpoint;
    const left = this.#device;
    this.#telemetry?.stop();
    await this.#unload();
    // Before the other is closed: nobody may look at it from then on.
    this.#device = device;
    this.#loaded = checkpoint && engine ? { engine, checkpoint } : undefined;
    this.#settings = next;
    this.#startTelemetry();
    await left.close();
  }

  /**
   * Lets go of a lost device, whose driver answers again only after that, and opens the next one: the same, or another.
   * @throws the addon's error where that cannot be opened: the host is open then, with nothing on it.
   */
  async #replaceLost(next: BackendSettings, work: Work): Promise<void> {
    const checkpoint = this.#loaded?.checkpoint;
    await this.#leaveDevice();
    const open = (settings: BackendSettings) => {
      this.#device = this.#addon.openDevice({ name: settings.device, capacityBytes: settings.capacityBytes });
      this.#settings = settings;
      this.#startTelemetry();
    };
    try {
      open(next);
    } catch (error) {
      open({ ...next, device: HOST });
      throw error;
    }
    if (checkpoint) await this.open(checkpoint, work);
  }

  /** One answer to everything that needs the device, also where the addon would find out later. */
  #refuseLost(): void {
    const { lost } = this.#device.observe();
    if (lost !== undefined) throw new TidelineError({ code: "device_lost", message: lost });
  }

  async #leaveDevice(): Promise<void> {
    this.#telemetry?.stop();
    await this.#unload();
    await this.#device.close();
  }

  async #unload(): Promise<void> {
    await this.#loans.allOver();
    // Then the engine: it may read the weights of a model.
    await this.#loaded?.engine.close();
    this.#loaded = undefined;
    for (const { model } of this.#models.values()) await model.close();
    this.#models.clear();
  }

  #startTelemetry(): void {
    this.#telemetry = this.#device.startTelemetry(
      { hertz: this.#settings.samplingHertz, batchSeconds: BATCH_SECONDS },
      (batch) => this.#samples(batch),
    );
  }

  /** The addon's progress and cancellation for a piece of work. */
  #operation({ progress, signal }: Work): LongOperation {
    return { onProgress: progress, cancellation: cancellationOf(this.#addon, signal) };
  }

  #engine(): LoadedEngine {
    if (this.#loaded) return this.#loaded;
    throw new TidelineError({ code: "no_model", message: "no checkpoint is open", hint: "Open a checkpoint." });
  }

  /** As the addon takes it, and the checkpoint that the engine then has: the one before where a process hands over. */
  #sourceOf(source: SwapRequest["source"]): { readonly from: SwapSource; readonly checkpoint?: Checkpoint } {
    switch (source.kind) {
      case "process":
        return { from: source };
      case "checkpoint": {
        const { config, tensors } = source.checkpoint;
        return { from: { kind: "checkpoint", config, tensors }, checkpoint: source.checkpoint };
      }
      case "model": {
        const { model, checkpoint } = this.#beside(source.role);
        return { from: { kind: "model", model }, checkpoint };
      }
    }
  }

  #verbsOf(consumer: string) {
    return verbsOf(consumer, () => this.#engine().engine, this.#models);
  }

  #beside(role: Role): Beside {
    const beside = this.#models.get(role);
    if (beside) return beside;
    throw new TidelineError({
      code: "not_found",
      message: `there is no ${role} model on the device`,
      hint: `Load a ${role} model first.`,
    });
  }
}
