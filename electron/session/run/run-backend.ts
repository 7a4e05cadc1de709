/**
 * The backend while a PPO run has the device: the verbs of the memory panel, done by hand between two items of the
 * schedule and under its rules. What would take the device away from the run is refused.
 */
import type { PauseMode, ReleaseMode } from "../../../core/contract/vocabulary.ts";
import { TidelineError } from "../../../core/errors.ts";
import type { LinkMeasurement } from "../../../core/link-measurement.ts";
import { castOf } from "../../../core/schedule/residency.ts";
import { type Action, itemsOf, type Swap } from "../../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer } from "../../../core/schedule/works.ts";
import type { GenerationEvent, Receipt, TidelineAddon } from "../../../native/addon.d.ts";
import type { PpoRun } from "../../ppo/executor.ts";
import type { NativePpoBackend } from "../../ppo/native-backend.ts";
import type {
  Backend,
  BackendEngine,
  BackendObservation,
  BackendRequest,
  BackendSettings,
  ReleaseRequest,
  SwapRequest,
  Work,
} from "../backend.ts";
import { cancelGeneration, type LoadedEngine, observeEngine, startGeneration } from "../native-engine.ts";
import { checkpointSummary, openDevice } from "../native-observation.ts";

export interface RunBackendOptions {
  readonly addon: TidelineAddon;
  readonly run: PpoRun;
  /** What the run is executed on. */
  readonly device: NativePpoBackend;
  readonly samplingHertz: number;
}

export class RunBackend implements Backend {
  readonly name = "native";
  readonly #addon: TidelineAddon;
  readonly #run: PpoRun;
  readonly #device: NativePpoBackend;
  #samplingHertz: number;

  constructor({ addon, run, device, samplingHertz }: RunBackendOptions) {
    this.#addon = addon;
    this.#run = run;
    this.#device = device;
    this.#samplingHertz = samplingHertz;
  }

  observe(): BackendObservation {
    const [device, ...others] = this.#device.observe();
    const engine = this.#observeEngine();
    return {
      ...openDevice(device),
      otherDevices: others.map(openDevice),
      samplingHertz: this.#samplingHertz,
      models: Object.values(this.#device.models.roles).flatMap((role) => {
        if (role === undefined) return [];
        const { name, checkpoint } = role;
        const weightBytes = this.#addon.weightBytes(checkpoint.config, checkpoint.dtype);
        return [{ role: name, consumer: `${name}.weights`, checkpoint: checkpointSummary(checkpoint, weightBytes) }];
      }),
      ...(engine && { engine }),
    };
  }

  async configure({ samplingHertz, ...others }: Partial<BackendSettings>): Promise<void> {
    if (Object.keys(others).length > 0) throw taken("The device is configured by the workload");
    if (samplingHertz === undefined) return;
    this.#device.setSamplingRate(samplingHertz);
    this.#samplingHertz = samplingHertz;
  }

  async release({ consumer, mode, destination }: ReleaseRequest, work: Work): Promise<Receipt> {
    const scheduled = scheduledConsumer(consumer);
    if (mode === "discard") return this.#act({ kind: "release", consumer: scheduled, destination }, work);
    if (destination === "hold") {
      throw new TidelineError({
        code: "unsupported",
        message: "a run gives memory that it offloads back to the device",
        hint: "Choose return, or discard the contents.",
      });
    }
    return this.#act({ kind: "offload", consumer: scheduled, to: this.#placeOf(scheduled, mode) }, work);
  }

  async resume(consumer: string, work: Work): Promise<Receipt> {
    const scheduled = scheduledConsumer(consumer);
    const { residency } = this.#run.memory[scheduled];
    const isAway = residency === "host" || residency === "disk";
    return this.#act({ kind: isAway ? "load" : "resume", consumer: scheduled }, work);
  }

  async swap({ source, method, bucketBytes }: SwapRequest, work: Work): Promise<Receipt> {
    if (source.kind !== "model") throw taken("The engine's weights come from the policy");
    if (source.role !== "policy") {
      throw new TidelineError({
        code: "unsupported",
        message: `the engine of a run takes the policy's weights, not the ${source.role}'s`,
        hint: "Swap in the policy.",
      });
    }
    const swap: Swap = {
      kind: "swap",
      from: "policy.weights",
      method: method === "auto" ? this.#scheduledMethod() : method,
      ...castOf("policy.weights", this.#run.schedule.roles),
      ...(method === "bucketed" && bucketBytes !== undefined && { bucketBytes }),
    };
    return this.#act(swap, work);
  }

  async lend(): Promise<void> {
    throw taken("The run has the device");
  }

  async endLoan(): Promise<void> {
    throw taken("The run has the device");
  }

  trim(): Promise<number> {
    this.#run.requirePause();
    return this.#device.trim();
  }

  async generate(
    requests: readonly BackendRequest[],
    onEvents: (events: readonly GenerationEvent[]) => void,
  ): Promise<number> {
    this.#run.requirePause();
    return startGeneration(this.#engine(), requests, onEvents);
  }

  async cancel(generation: number): Promise<void> {
    cancelGeneration(this.#engine().engine, generation);
  }

  save(folder: string, { signal, progress }: Work): Promise<{ readonly path: string; readonly bytes: number }> {
    return this.#run.save(folder, signal, progress);
  }

  async open(): Promise<Receipt> {
    throw taken("The run has the device");
  }

  async loadModel(): Promise<Receipt> {
    throw taken("The run has the device");
  }

  async unloadModel(): Promise<Receipt> {
    throw taken("The run needs its models");
  }

  async measureLink(): Promise<LinkMeasurement> {
    throw taken("The run has the device");
  }

  async pause(_: PauseMode): Promise<void> {
    throw taken("The run pauses its engine itself");
  }

  async continue(): Promise<void> {
    throw taken("The run pauses its engine itself");
  }

  close(): Promise<void> {
    return this.#device.close();
  }

  #observeEngine(): BackendEngine | undefined {
    const engine = observeEngine(this.#engine(), this.#addon);
    if (engine === undefined || this.#run.itemStartedSeconds === undefined) return engine;
    return { ...engine, obstacle: { code: "busy", message: "The run goes on", hint: "Pause the run." } };
  }

  #engine(): LoadedEngine {
    const { engine, roles } = this.#device.models;
    return { engine, checkpoint: roles.policy.checkpoint };
  }

  /** @throws TidelineError `already_…` where there is nothing to do: those who ask for it expect a receipt. */
  async #act(action: Action, { signal, progress }: Work): Promise<Receipt> {
    const receipt = await this.#run.act(action, signal, progress);
    if (receipt !== undefined) return receipt;
    const isGiving = action.kind === "release" || action.kind === "offload";
    throw new TidelineError({
      code: isGiving ? "already_released" : "already_resident",
      message: `there was nothing to do: it is so already`,
    });
  }

  #placeOf(consumer: ScheduledConsumer, mode: Exclude<ReleaseMode, "discard">): "host" | "disk" {
    if (mode !== "clean") return mode;
    const { backup } = this.#run.memory[consumer];
    if (backup?.clean) return backup.where;
    throw new TidelineError({
      code: "not_clean",
      message: `${consumer} ${backup === undefined ? "has no backup" : "changed since its last backup"}`,
    });
  }

  /** As the schedule does it, else the plainest. */
  #scheduledMethod(): Swap["method"] {
    for (const item of itemsOf(this.#run.schedule)) {
      if (item.kind === "action" && item.action.kind === "swap" && item.action.from === "policy.weights") {
        return item.action.method;
      }
    }
    return "copy";
  }
}

function taken(why: string): TidelineError {
  return new TidelineError({ code: "busy", message: `${why}: a PPO run is open`, hint: "End the run first." });
}

function scheduledConsumer(name: string): ScheduledConsumer {
  const consumer = SCHEDULED_CONSUMERS.find((candidate) => candidate === name);
  if (consumer !== undefined) return consumer;
  throw new TidelineError({
    code: "not_found",
    message: `${name} holds nothing that can be released or resumed`,
    hint: `Name a consumer of the list: ${SCHEDULED_CONSUMERS.join(", ")}.`,
  });
}
