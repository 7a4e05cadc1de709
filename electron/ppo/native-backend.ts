/**
 * The PPO loop's backend in this process: the addon's engine, models and trainers on one device. It keeps no state of
 * its own; where memory is, is asked of the addon.
 */
import { mkdir, rm } from "node:fs/promises";
import { ENGINE_TAGS, engineConsumer, ROLES, type Role } from "../../core/consumers.ts";
import { assertNever, TidelineError } from "../../core/errors.ts";
import type { ConsumerMemory, MemoryState } from "../../core/schedule/residency.ts";
import { type Action, describeAction, type Precision, type Roles, type Swap } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import type {
  CriticStatistics,
  DeviceObservation,
  DType,
  LongOperation,
  NativeCancellation,
  NativeDevice,
  NativeEngine,
  NativeTelemetry,
  PolicyStatistics,
  PpoAdvantages,
  PpoInputs,
  Receipt,
  ReleaseOptions,
  SampleBatch,
  TidelineAddon,
  TokenScores,
  TrainerTag,
  TrainingSequence,
  UpdateReceipt,
} from "../../native/addon.d.ts";
import { writeCheckpoint } from "../session/checkpoint.ts";
import type { CriticUpdate, PolicyUpdate, PpoBackend, Rollout, RolloutRequest } from "./backend.ts";
import { collectRollouts } from "./collect-rollouts.ts";
import { createRole, type NativeRole, tensorsOf } from "./native-roles.ts";
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

/** What the releasable parts of engine, models and trainers have in common. */
interface Releasable {
  release(options: ReleaseOptions): Promise<Receipt>;
  resume(operation?: LongOperation): Promise<Receipt>;
}

interface Parts {
  readonly engine: NativeEngine;
  readonly policy: NativeRole;
  readonly critic: NativeRole;
  readonly reference: NativeRole;
  readonly reward?: NativeRole;
}

export class NativePpoBackend implements PpoBackend {
  readonly name = "native";
  readonly #options: NativePpoBackendOptions;
  readonly #device: NativeDevice;
  readonly #telemetry: NativeTelemetry;
  readonly #cancellations = new WeakMap<AbortSignal, NativeCancellation>();
  #samples: (batch: SampleBatch) => void = () => {};
  #parts: Parts | undefined;

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
    if (action.kind !== "swap" || (action.from === "policy.weights" && action.method !== "bucketed")) return;
    throw new TidelineError({
      code: "unsupported",
      message: `the native backend cannot \`${describeAction(action)}\``,
      hint: "Swap by copy (--strategies swap=copy), and turn the single policy copy off.",
    });
  }

  async prepare(start: MemoryState, signal: AbortSignal): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    this.#parts = this.#createParts();
    try {
      for (const name of ROLES) await this.#loadRole(name, start, signal);
      await this.#loadEngine(start["engine.weights"], signal);
    } catch (error) {
      await this.#closeParts();
      throw error;
    }
  }

  async setUp(consumer: ScheduledConsumer, signal: AbortSignal): Promise<Receipt> {
    return this.#resume(consumer, this.#operation(signal));
  }

  async act(action: Action, signal: AbortSignal): Promise<Receipt> {
    const operation = this.#operation(signal);
    switch (action.kind) {
      case "release":
        return this.#release(action.consumer, { mode: "discard", destination: action.destination, ...operation });
      case "offload":
        return this.#release(action.consumer, { mode: action.to, directory: this.#options.directory, ...operation });
      case "resume":
      case "load":
        return this.#resume(action.consumer, operation);
      case "swap":
        return this.#swap(action, operation);
      default:
        return assertNever(action);
    }
  }

  generate(requests: readonly RolloutRequest[], signal: AbortSignal): Promise<readonly Rollout[]> {
    const { engine, policy } = this.#all();
    const stopTokenIds = policy.checkpoint.config.eosTokenIds;
    return collectRollouts(engine, requests, stopTokenIds, signal);
  }

  scoreTokens(
    role: "policy" | "reference",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly TokenScores[]> {
    return this.#all()[role].trainer.scoreTokens(sequences, this.#operation(signal));
  }

  values(
    role: "critic" | "reward",
    sequences: readonly TrainingSequence[],
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]> {
    return this.#role(role).trainer.values(sequences, this.#operation(signal));
  }

  advantages(inputs: PpoInputs): PpoAdvantages {
    return this.#options.addon.ppoAdvantages(inputs);
  }

  async updatePolicy(update: PolicyUpdate, signal: AbortSignal): Promise<PolicyStatistics & UpdateReceipt> {
    const { sequences, clipRange, entropyCoefficient, optimizer } = update;
    const { trainer } = this.#all().policy;
    const options = { clipRange, entropyCoefficient, ...this.#operation(signal) };
    const statistics = await trainer.policyStep(sequences, options);
    return { ...statistics, ...(await trainer.optimizerStep(optimizer)) };
  }

  async updateCritic(update: CriticUpdate, signal: AbortSignal): Promise<CriticStatistics & UpdateReceipt> {
    const { sequences, clipRange, optimizer } = update;
    const { trainer } = this.#all().critic;
    const statistics = await trainer.criticStep(sequences, { clipRange, ...this.#operation(signal) });
    return { ...statistics, ...(await trainer.optimizerStep(optimizer)) };
  }

  weightsVersion(): number {
    return this.#all().engine.observe().weightsVersion;
  }

  observe(): DeviceObservation {
    return this.#device.observe();
  }

  onSamples(listener: (batch: SampleBatch) => void): void {
    this.#samples = listener;
  }

  async savePolicy(folder: string, signal: AbortSignal): Promise<{ readonly path: string; readonly bytes: number }> {
    const { engine, policy } = this.#all();
    const { residency, contents } = policy.model.observe();
    // With one policy copy, the engine's is the policy's.
    const weights = residency === "resident" && contents === "defined" ? policy.model : engine;
    const written = await writeCheckpoint({ folder, like: policy.checkpoint, weights, ...this.#operation(signal) });
    return { path: written.path, bytes: written.totalBytes };
  }

  async close(): Promise<void> {
    this.#telemetry.stop();
    await this.#closeParts();
    await this.#device.close();
    await rm(this.#options.directory, { recursive: true, force: true });
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Setting up

  #createParts(): Parts {
    const { addon, workload, roles } = this.#options;
    const { settings, checkpoints } = workload;
    const { policy, critic, reference, reward } = checkpoints;
    const device = this.#device;
    const limits = {
      microBatch: settings.microBatch,
      sequenceTokens: settings.sequenceTokens,
      logitRows: settings.logitRows,
      checkpointing: settings.checkpointing,
    };
    const role = { addon, device, limits };
    const engineModel = addon.createModel(device, {
      config: policy.config,
      dtype: dtypeOf(roles.engine),
      consumer: engineConsumer("weights"),
    });
    return {
      engine: addon.createEngine(device, engineModel, { kvCacheBytes: settings.device.kvCacheBytes }),
      policy: createRole({
        ...role,
        name: "policy",
        checkpoint: policy,
        dtype: dtypeOf(roles.policy),
        trainable: true,
      }),
      critic: createRole({
        ...role,
        name: "critic",
        checkpoint: critic,
        dtype: dtypeOf(roles.critic),
        trainable: true,
      }),
      reference: createRole({
        ...role,
        name: "reference",
        checkpoint: reference,
        dtype: dtypeOf(roles.reference),
        trainable: false,
      }),
      ...(reward !== undefined &&
        roles.reward !== "rule" && {
          reward: createRole({
            ...role,
            name: "reward",
            checkpoint: reward,
            dtype: dtypeOf(roles.reward),
            trainable: false,
          }),
        }),
    };
  }

  /** Loads the weights of a role and puts them where the step finds them. */
  async #loadRole(name: Role, start: MemoryState, signal: AbortSignal): Promise<void> {
    const role = this.#all()[name];
    const consumer = `${name}.weights` as const;
    const { residency } = start[consumer];
    if (role === undefined || residency === "released") return;
    await role.model.load(await tensorsOf(role, this.#options.directory), this.#operation(signal));
    if (residency === "host" || residency === "disk") {
      await this.act({ kind: "offload", consumer, to: residency }, signal);
    }
  }

  /** The engine begins with the policy's weights. */
  async #loadEngine({ residency }: ConsumerMemory, signal: AbortSignal): Promise<void> {
    if (residency === "released") return;
    const { engine, policy } = this.#all();
    const { config, tensors } = policy.checkpoint;
    const operation = this.#operation(signal);
    await engine.swap(
      residency === "shared"
        ? { source: { kind: "model", model: policy.model }, method: "share", running: "refuse", ...operation }
        : { source: { kind: "checkpoint", config, tensors }, method: "copy", running: "refuse", ...operation },
    );
    if (residency === "host" || residency === "disk") {
      await this.act({ kind: "offload", consumer: "engine.weights", to: residency }, signal);
    }
  }

  async #closeParts(): Promise<void> {
    if (this.#parts === undefined) return;
    const { engine, policy, critic, reference, reward } = this.#parts;
    this.#parts = undefined;
    // First the engine: it may read the policy's weights.
    await engine.close();
    for (const role of [policy, critic, reference, reward]) {
      await role?.trainer.close();
      await role?.model.close();
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Memory

  async #release(consumer: ScheduledConsumer, options: ReleaseOptions): Promise<Receipt> {
    return inTurn(
      this.#releasables(consumer),
      (part) => part.release(options),
      (part) => part.resume(),
    );
  }

  async #resume(consumer: ScheduledConsumer, operation: LongOperation): Promise<Receipt> {
    return inTurn(
      this.#releasables(consumer),
      (part) => part.resume(operation),
      (part) => part.release({ mode: "discard" }),
    );
  }

  async #swap(swap: Swap, operation: LongOperation): Promise<Receipt> {
    const { engine, policy } = this.#all();
    const source = { kind: "model", model: policy.model } as const;
    const method = swap.method === "share" ? "share" : "copy";
    return engine.swap({ source, method, running: "refuse", ...operation });
  }

  /** The parts whose memory a consumer is; every trainer has activations and logits of its own. */
  #releasables(consumer: ScheduledConsumer): readonly Releasable[] {
    const { engine, ...roles } = this.#all();
    const tag = ENGINE_TAGS.find((candidate) => engineConsumer(candidate) === consumer);
    if (tag !== undefined) {
      return [
        {
          release: (options) => engine.release(tag, options),
          resume: (operation) => engine.resume(tag, operation),
        },
      ];
    }
    const found = Object.values(roles).flatMap(({ name, model, trainer }): readonly Releasable[] => {
      if (consumer === `${name}.weights`) return [model];
      const part = TRAINER_TAGS.find((own) => consumer === own || consumer === `${name}.${own}`);
      if (part === undefined) return [];
      return [
        {
          release: (options) => trainer.release(part, options),
          resume: (operation) => trainer.resume(part, operation),
        },
      ];
    });
    if (found.length > 0) return found;
    throw new TidelineError({ code: "not_found", message: `there is no ${consumer} in this run` });
  }

  #role(name: "critic" | "reward"): NativeRole {
    const role = this.#all()[name];
    if (role !== undefined) return role;
    throw new TidelineError({ code: "no_model", message: `there is no ${name} model in this run` });
  }

  #all(): Parts {
    if (this.#parts !== undefined) return this.#parts;
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

const TRAINER_TAGS = ["gradients", "optimizer", "activations", "logits"] as const satisfies readonly TrainerTag[];

/** Does the same to all parts of a consumer, or to none. */
async function inTurn(
  parts: readonly Releasable[],
  act: (part: Releasable) => Promise<Receipt>,
  undo: (part: Releasable) => Promise<Receipt>,
): Promise<Receipt> {
  const receipts: Receipt[] = [];
  try {
    for (const part of parts) receipts.push(await act(part));
  } catch (error) {
    for (const part of parts.slice(0, receipts.length)) await undo(part);
    throw error;
  }
  return receipts.reduce((sum, receipt) => ({
    ...receipt,
    bytesFreed: sum.bytesFreed + receipt.bytesFreed,
    bytesRetained: sum.bytesRetained + receipt.bytesRetained,
    bytesCommitted: sum.bytesCommitted + receipt.bytesCommitted,
    bytesCopied: sum.bytesCopied + receipt.bytesCopied,
    milliseconds: sum.milliseconds + receipt.milliseconds,
  }));
}

/** @throws TidelineError `unsupported` for int8. */
function dtypeOf(precision: Precision | "int8"): DType {
  switch (precision) {
    case "fp32":
      return "float32";
    case "bf16":
      return "bfloat16";
    case "fp16":
      return "float16";
    case "int8":
      throw new TidelineError({
        code: "unsupported",
        message: "the native backend has no int8 weights",
        hint: "Leave int8 out.",
      });
    default:
      return assertNever(precision);
  }
}
