/**
 * The models of a run in this process: the engine, each role's weights with the trainer that computes with them, and the
 * scratch memory that all trainers on a device share. It answers which of them a consumer's memory belongs to.
 */
import { ENGINE_TAGS, engineConsumer, type Role } from "../../core/consumers.ts";
import { assertNever, TidelineError, toErrorData } from "../../core/errors.ts";
import type { Placed } from "../../core/run/placement.ts";
import type { Precision, Roles, StatePrecision } from "../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../core/schedule/works.ts";
import type {
  DType,
  LongOperation,
  NativeDevice,
  NativeEngine,
  NativeModel,
  NativeScratch,
  NativeTrainer,
  Receipt,
  ReleaseOptions,
  TensorSource,
  TidelineAddon,
  TrainerLimits,
  TrainingBytes,
  WeightDType,
} from "../../native/addon.d.ts";
import { type Checkpoint, readHeader } from "../session/checkpoint.ts";
import { type Closable, closeAfter, closeAll } from "./closing.ts";
import { VALUE_HEAD, writeValueHead } from "./value-head.ts";
import type { Workload } from "./workload.ts";

export interface NativeModelsOptions {
  readonly addon: TidelineAddon;
  readonly deviceOf: (placed: Placed) => NativeDevice;
  readonly workload: Workload;
  /** The precision of what lies on the device. */
  readonly roles: Roles;
}

export interface NativeRole {
  readonly name: Role;
  readonly checkpoint: Checkpoint;
  readonly model: NativeModel;
  readonly trainer: NativeTrainer;
}

/** What can be done with the memory of any consumer. */
export interface ConsumerMemoryVerbs {
  release(options: ReleaseOptions): Promise<Receipt>;
  resume(operation?: LongOperation): Promise<Receipt>;
}

export class NativeModels {
  readonly engine: NativeEngine;
  readonly roles: {
    readonly policy: NativeRole;
    readonly critic: NativeRole;
    readonly reference: NativeRole;
    /** Absent where a rule rewards. */
    readonly reward: NativeRole | undefined;
  };
  /** One on each device that trainers compute on. */
  readonly #scratch = new Map<NativeDevice, NativeScratch>();
  readonly #opened: readonly Closable[];

  /**
   * Reserves addresses only: nothing is loaded, nothing is resident.
   * @throws the addon's errors, `unsupported` and `bad_argument` among them; nothing is left open then.
   */
  static async open(options: NativeModelsOptions): Promise<NativeModels> {
    const opened: Closable[] = [];
    try {
      return new NativeModels(options, opened);
    } catch (error) {
      return closeAfter(error, opened);
    }
  }

  /** @param opened gets everything that is to be closed, as soon as it is there. */
  private constructor(options: NativeModelsOptions, opened: Closable[]) {
    this.#opened = opened;
    const kept = <Opened extends Closable>(one: Opened): Opened => {
      opened.push(one);
      return one;
    };
    const { addon, deviceOf, workload, roles: precisions } = options;
    const { settings, checkpoints } = workload;
    const plans = rolePlans(workload, precisions);
    for (const device of new Set(plans.map(({ name }) => deviceOf(name)))) {
      this.#scratch.set(device, kept(addon.createScratch(device, scratchBytesOf(options, device))));
    }
    const device = deviceOf("engine");
    const engineModel = kept(
      addon.createModel(device, {
        config: checkpoints.policy.config,
        dtype: floatOf(precisions.engine),
        consumer: engineConsumer("weights"),
      }),
    );
    this.engine = addon.createEngine(device, engineModel, { kvCacheBytes: settings.device.kvCacheBytes });
    // It has taken the model over.
    opened.splice(opened.indexOf(engineModel), 1, this.engine);
    const create = (wanted: Role): NativeRole | undefined => {
      const plan = plans.find(({ name }) => name === wanted);
      if (plan === undefined) return undefined;
      const { name, checkpoint, config, dtype, head, limits } = plan;
      const own = deviceOf(name);
      const model = kept(addon.createModel(own, { config, dtype, consumer: `${name}.weights`, head }));
      const scratch = this.#scratch.get(own);
      const shared = scratch === undefined ? {} : { scratch };
      const trainer = kept(addon.createTrainer(own, { model, consumerPrefix: name, ...shared, ...limits }));
      return { name, checkpoint, model, trainer };
    };
    this.roles = {
      policy: needed("policy", create("policy")),
      critic: needed("critic", create("critic")),
      reference: needed("reference", create("reference")),
      reward: create("reward"),
    };
  }

  /** @throws TidelineError `no_model` where a rule rewards. */
  role(name: Role): NativeRole {
    return needed(name, this.roles[name]);
  }

  /**
   * Loads the weights of a role; of a reward that is a rule, nothing.
   * @param directory where a value head is written for a critic that has none.
   */
  async loadRole(name: Role, directory: string, operation: LongOperation): Promise<void> {
    const role = this.roles[name];
    if (role === undefined) return;
    await loadInto(role, name === "critic" ? await criticTensors(role.checkpoint, directory) : undefined, operation);
  }

  /** The engine begins with the policy's weights: `share` after those are loaded, `copy` from their checkpoint. */
  async loadEngine(method: "share" | "copy", operation: LongOperation): Promise<void> {
    const { model, checkpoint } = this.roles.policy;
    const { config, tensors } = checkpoint;
    const source =
      method === "share" ? ({ kind: "model", model } as const) : ({ kind: "checkpoint", config, tensors } as const);
    await this.engine.swap({ source, method, running: "refuse", ...operation });
  }

  /** @throws TidelineError `not_found` for what this run does not have. */
  memoryOf(consumer: ScheduledConsumer): ConsumerMemoryVerbs {
    const tag = ENGINE_TAGS.find((candidate) => engineConsumer(candidate) === consumer);
    if (tag !== undefined) return tagged(this.engine, tag);
    if (consumer === "activations" || consumer === "logits") {
      return together([...this.#scratch].map(([device, scratch]) => ({ device, memory: tagged(scratch, consumer) })));
    }
    for (const role of Object.values(this.roles)) {
      if (role === undefined) continue;
      if (consumer === `${role.name}.weights`) return role.model;
      const part = (["gradients", "optimizer"] as const).find((own) => consumer === `${role.name}.${own}`);
      if (part !== undefined) return tagged(role.trainer, part);
    }
    throw new TidelineError({ code: "not_found", message: `there is no ${consumer} in this run` });
  }

  /** @throws TidelineError `not_found` for what is no optimizer of this run. */
  optimizerOf(consumer: ScheduledConsumer): NativeTrainer {
    const { policy, critic } = this.roles;
    const role = [policy, critic].find(({ name }) => consumer === `${name}.optimizer`);
    if (role !== undefined) return role.trainer;
    throw new TidelineError({ code: "not_found", message: `${consumer} is no optimizer of this run` });
  }

  close(): Promise<void> {
    // First the engine: it may read the policy's weights. Last the scratch memory, which the trainers use.
    return closeAll([...this.#opened.filter((one) => one !== this.engine), this.engine]);
  }
}

/** Loads a role's weights, those of its checkpoint unless others are given. @throws the addon's errors, naming the role. */
export async function loadInto(
  { name, checkpoint, model }: NativeRole,
  tensors: readonly TensorSource[] = checkpoint.tensors,
  operation: LongOperation,
): Promise<void> {
  try {
    await model.load(tensors, operation);
  } catch (error) {
    const data = toErrorData(error);
    const isOfItsFiles = data.code.startsWith("checkpoint_") || data.code === "weights_mismatch";
    if (!isOfItsFiles && data.code !== "not_finite") throw error;
    throw new TidelineError({ ...data, message: `${name}, ${checkpoint.path}: ${data.message}` }, { cause: error });
  }
}

/** The parts of something that names them by tags, one by one. */
function tagged<Tag>(
  whole: {
    release(tag: Tag, options: ReleaseOptions): Promise<Receipt>;
    resume(tag: Tag, operation?: LongOperation): Promise<Receipt>;
  },
  tag: Tag,
): ConsumerMemoryVerbs {
  return {
    release: (options) => whole.release(tag, options),
    resume: (operation) => whole.resume(tag, operation),
  };
}

/** What lies on several devices under one name: an action is done to all of it or to nothing. */
function together(
  parts: readonly { readonly device: NativeDevice; readonly memory: ConsumerMemoryVerbs }[],
): ConsumerMemoryVerbs {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only.memory;
  type Act = (part: ConsumerMemoryVerbs) => Promise<Receipt>;
  const toAll = async (act: Act, takeBack: Act): Promise<Receipt> => {
    const receipts: Receipt[] = [];
    for (const { device, memory } of parts) {
      try {
        receipts.push(await act(memory));
      } catch (error) {
        for (const done of parts.slice(0, receipts.length)) await takeBack(done.memory);
        throw namingDevice(error, device.observe().name);
      }
    }
    return receiptOf(receipts);
  };
  return {
    release: (options) =>
      toAll(
        (part) => part.release(options),
        (part) => part.resume(),
      ),
    resume: (operation) =>
      toAll(
        (part) => part.resume(operation),
        (part) => part.release({ mode: "discard" }),
      ),
  };
}

/** With several devices, memory that ran out is memory of one of them. */
export function namingDevice(error: unknown, device: string): unknown {
  const data = toErrorData(error);
  if (data.code !== "out_of_memory") return error;
  return new TidelineError({ ...data, message: `${device}: ${data.message}` }, { cause: error });
}

/** Of what was done to all parts, as of one. */
function receiptOf(receipts: readonly Receipt[]): Receipt {
  const [first] = receipts;
  if (first === undefined) throw new TidelineError({ code: "internal", message: "nothing was done" });
  const sum = (figure: (receipt: Receipt) => number) => receipts.reduce((total, receipt) => total + figure(receipt), 0);
  return {
    ...first,
    bytesFreed: sum(({ bytesFreed }) => bytesFreed),
    bytesRetained: sum(({ bytesRetained }) => bytesRetained),
    bytesCommitted: sum(({ bytesCommitted }) => bytesCommitted),
    bytesCopied: sum(({ bytesCopied }) => bytesCopied),
    milliseconds: sum(({ milliseconds }) => milliseconds),
  };
}

function needed(name: Role, role: NativeRole | undefined): NativeRole {
  if (role !== undefined) return role;
  throw new TidelineError({ code: "no_model", message: `there is no ${name} model in this run` });
}

/**
 * What the trainers on a device share: the most that any of them needs.
 * @throws the addon's `bad_argument` for limits that no trainer takes.
 */
export function scratchBytesOf(
  { addon, deviceOf, workload, roles }: NativeModelsOptions,
  device: NativeDevice,
): Pick<TrainingBytes, "activationsBytes" | "logitsBytes"> {
  const sizes = rolePlans(workload, roles)
    .filter(({ name }) => deviceOf(name) === device)
    .map(({ config, limits, dtype, head }) => addon.trainingBytes(config, { ...limits, dtype, head, device }));
  return {
    activationsBytes: Math.max(0, ...sizes.map(({ activationsBytes }) => activationsBytes)),
    logitsBytes: Math.max(0, ...sizes.map(({ logitsBytes }) => logitsBytes)),
  };
}

const STATE_DTYPES = { fp32: "float32", bf16: "bfloat16" } as const satisfies Record<StatePrecision, DType>;

function rolePlans({ settings, checkpoints }: Workload, precisions: Roles) {
  const { policy, critic, reference, reward } = checkpoints;
  const { microBatch, sequenceTokens, logitRows, checkpointing } = settings;
  const frozen: TrainerLimits = { microBatch, sequenceTokens, logitRows, checkpointing, trainable: false };
  const trained = (dtype: DType): TrainerLimits => ({
    ...frozen,
    trainable: true,
    masterWeights: settings.masterWeights && dtype !== "float32",
    gradientDtype: STATE_DTYPES[settings.precision.gradients ?? "fp32"],
    momentDtype: STATE_DTYPES[settings.precision.moments ?? "fp32"],
  });
  const plan = (name: Role, checkpoint: Checkpoint, dtype: WeightDType, limits: TrainerLimits) => {
    const head = name === "critic" || name === "reward" ? "value" : "lm";
    return { name, checkpoint, config: checkpoint.config, dtype, head, limits } as const;
  };
  const [policyDtype, criticDtype] = [floatOf(precisions.policy), floatOf(precisions.critic)];
  return [
    plan("policy", policy, policyDtype, trained(policyDtype)),
    plan("critic", critic, criticDtype, trained(criticDtype)),
    plan("reference", reference, weightOf(precisions.reference), frozen),
    ...(reward !== undefined && precisions.reward !== "rule"
      ? [plan("reward", reward, weightOf(precisions.reward), frozen)]
      : []),
  ];
}

/** A critic whose folder has no value head begins with one of zeros. */
async function criticTensors({ tensors, config }: Checkpoint, directory: string): Promise<readonly TensorSource[]> {
  if (tensors.some(({ name }) => name === VALUE_HEAD)) return tensors;
  const file = `${directory}/value-head.safetensors`;
  await writeValueHead(file, config.hiddenSize);
  return [...tensors, ...(await readHeader(file))];
}

function weightOf(precision: Precision | "int8"): WeightDType {
  return precision === "int8" ? "int8" : floatOf(precision);
}

function floatOf(precision: Precision): DType {
  switch (precision) {
    case "fp32":
      return "float32";
    case "bf16":
      return "bfloat16";
    case "fp16":
      return "float16";
    default:
      return assertNever(precision);
  }
}
