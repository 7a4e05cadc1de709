/** The settings of a workload: a JSON file that a person writes, whose folders are relative to it. */
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { rangeSchema, wholeSchema } from "../../core/checkpoint/model-config.ts";
import { inPiecesOfGpu } from "../../core/gpu-pieces.ts";
import { refusal } from "../../core/input/fault.ts";
import { parseJson } from "../../core/input/json.ts";
import { parseWith } from "../../core/input/schema-fault.ts";
import {
  type DeviceCapacities,
  deviceCapacitiesSchema,
  type Placed,
  placementSchema,
} from "../../core/run/placement.ts";
import { precisionSchema, statePrecisionSchema } from "../../core/schedule/schedule.ts";
import { readRunFile, workloadFile } from "./run-files.ts";

const bytes = z.int().positive();
/** More than any batch or context has, and a list of so many can be made. */
const count = wholeSchema(1, 2 ** 20);
const positive = z.number().positive();

// The most that the addon takes of each: what is larger would only stop the phase that needs it.
const coefficient = rangeSchema(0, 1e6);
const factor = positive.max(1e6);

const optimizerSchema = z.strictObject({
  learningRate: positive.max(1e3),
  beta1: rangeSchema(0, 0.999999).default(0.9),
  beta2: rangeSchema(0, 0.99999999).default(0.95),
  eps: positive.max(1).default(1e-8),
  weightDecay: rangeSchema(0, 1e3).default(0),
  /** Gradients are scaled down to this L2 norm. */
  maxGradientNorm: positive.default(1),
});

const foldersSchema = z.strictObject({
  policy: z.string(),
  /** A folder without value_head.weight starts with one of zeros. */
  critic: z.string(),
  reference: z.string(),
  /** Left out: the task's rule rewards. */
  reward: z.string().exactOptional(),
});

const workloadSchema = z.strictObject({
  version: z.literal(1),
  task: z.string(),
  roles: foldersSchema,
  seed: z.int().min(0).default(0),
  /** Responses of one step. */
  rollouts: count,
  maxNewTokens: count,
  /** Whole sequences are at most so long. */
  sequenceTokens: count,
  temperature: factor.default(1),
  klCoefficient: coefficient,
  gamma: z.number().min(0).max(1).default(1),
  lambda: z.number().min(0).max(1).default(0.95),
  clipRange: factor.default(0.2),
  valueClipRange: factor.default(0.2),
  entropyCoefficient: coefficient.default(0),
  /** How often the rollouts of a step are gone through, and in how many updates each time. */
  epochs: count.default(1),
  miniBatches: count.default(1),
  optimizer: z.strictObject({ policy: optimizerSchema, critic: optimizerSchema }),
  /** Sequences computed together. */
  microBatch: count.default(1),
  logitRows: count.default(128),
  checkpointing: z.boolean().default(false),
  precision: z
    .strictObject({
      /** In which policy and engine lie on the device; left out, as the policy's checkpoint is stored. */
      policy: precisionSchema.exactOptional(),
      engine: precisionSchema.exactOptional(),
      /** In which trained roles keep gradients and Adam's moments; left out, fp32. */
      gradients: statePrecisionSchema.exactOptional(),
      moments: statePrecisionSchema.exactOptional(),
    })
    .prefault({}),
  /** float32 copies of trained weights that have fewer bits, in the optimizer's memory. */
  masterWeights: z.boolean().default(true),
  device: z.strictObject({
    capacityBytes: bytes,
    kvCacheBytes: bytes,
    /** Memory is mapped in pieces of this size; left out, the device's own. */
    chunkBytes: bytes.exactOptional(),
    /** Of devices that may hold another number of bytes. */
    capacities: deviceCapacitiesSchema.exactOptional(),
  }),
  /** Engine and roles that lie elsewhere than on the device of the run. */
  placement: placementSchema.exactOptional(),
});
export type WorkloadSettings = z.infer<typeof workloadSchema>;
export type RoleFolders = z.infer<typeof foldersSchema>;

/**
 * The settings of a workload file, folders made absolute.
 * @throws TidelineError of readRunFile; `bad_argument` naming file and field.
 */
export async function readWorkload(file: string): Promise<WorkloadSettings> {
  const source = workloadFile(file);
  const data = parseJson(await readRunFile(file, "workload"), source, { refuseDuplicates: true });
  const { roles, ...settings } = parseWith(workloadSchema, data, (fault) => refusal(source, fault));
  const absolute = (folder: string) => resolve(dirname(file), folder);
  return {
    ...settings,
    roles: {
      policy: absolute(roles.policy),
      critic: absolute(roles.critic),
      reference: absolute(roles.reference),
      ...(roles.reward !== undefined && { reward: absolute(roles.reward) }),
    },
  };
}

export interface WorkloadChanges {
  /** Critic and reference follow another policy, unless they are given too. */
  readonly checkpoints?: { readonly [Name in keyof RoleFolders]?: string | undefined };
  readonly capacityBytes?: number | undefined;
  /** Beside those of the settings. */
  readonly deviceCapacities?: DeviceCapacities | undefined;
  readonly placement?: { readonly [Name in Placed]?: string | undefined } | undefined;
  readonly seed?: number | undefined;
}

/** The settings with some of them chosen otherwise. */
export function changeWorkload(settings: WorkloadSettings, changes: WorkloadChanges): WorkloadSettings {
  const { checkpoints = {}, capacityBytes, deviceCapacities, placement, seed } = changes;
  const { policy, critic, reference, reward } = checkpoints;
  const roles: RoleFolders = {
    ...(policy === undefined ? settings.roles : { ...settings.roles, policy, critic: policy, reference: policy }),
    ...(critic !== undefined && { critic }),
    ...(reference !== undefined && { reference }),
    ...(reward !== undefined && { reward }),
  };
  const device = {
    ...settings.device,
    ...(capacityBytes !== undefined && { capacityBytes }),
    ...(deviceCapacities !== undefined && { capacities: { ...settings.device.capacities, ...deviceCapacities } }),
  };
  const placed = Object.entries({ ...settings.placement, ...placement }).filter(([, name]) => name !== undefined);
  return {
    ...settings,
    roles,
    device,
    ...(placed.length > 0 && { placement: Object.fromEntries(placed) }),
    ...(seed !== undefined && { seed }),
  };
}

/** The settings for a run's own device: what is placed there is placed nowhere else, and memory comes in its pieces. */
export function settingsFor(deviceName: string, { placement = {}, ...settings }: WorkloadSettings): WorkloadSettings {
  const elsewhere = Object.entries(placement).filter(([, name]) => name !== deviceName);
  const names = [deviceName, ...elsewhere.map(([, name]) => name)];
  const device = names.every((name) => name === "host") ? settings.device : inPiecesOfGpu(settings.device);
  return { ...settings, device, ...(elsewhere.length > 0 && { placement: Object.fromEntries(elsewhere) }) };
}
