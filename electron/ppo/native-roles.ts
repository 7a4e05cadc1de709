/** A role of the loop in this process: its weights, and the trainer that computes with them. */
import { join } from "node:path";
import type { Role } from "../../core/consumers.ts";
import type {
  DType,
  NativeDevice,
  NativeModel,
  NativeTrainer,
  TensorSource,
  TidelineAddon,
  TrainerLimits,
} from "../../native/addon.d.ts";
import { type Checkpoint, readHeader } from "../session/checkpoint.ts";
import { VALUE_HEAD, writeValueHead } from "./value-head.ts";

export interface NativeRole {
  readonly name: Role;
  readonly checkpoint: Checkpoint;
  readonly model: NativeModel;
  readonly trainer: NativeTrainer;
}

export interface RoleOptions {
  readonly addon: TidelineAddon;
  readonly device: NativeDevice;
  readonly name: Role;
  readonly checkpoint: Checkpoint;
  readonly dtype: DType;
  readonly limits: TrainerLimits;
  readonly trainable: boolean;
}

/** Reserves addresses only: nothing is loaded, nothing is resident. */
export function createRole({ addon, device, name, checkpoint, dtype, limits, trainable }: RoleOptions): NativeRole {
  const model = addon.createModel(device, {
    config: checkpoint.config,
    dtype,
    consumer: `${name}.weights`,
    head: hasValueHead(name) ? "value" : "lm",
  });
  const trainer = addon.createTrainer(device, { model, consumerPrefix: name, trainable, ...limits });
  return { name, checkpoint, model, trainer };
}

/**
 * The tensors that a role is loaded from. A critic whose folder has no value head begins with one of zeros.
 * @param directory where that is written.
 */
export async function tensorsOf({ name, checkpoint }: NativeRole, directory: string): Promise<readonly TensorSource[]> {
  const { tensors, config } = checkpoint;
  if (name !== "critic" || tensors.some((tensor) => tensor.name === VALUE_HEAD)) return tensors;
  const file = join(directory, "value-head.safetensors");
  await writeValueHead(file, config.hiddenSize);
  return [...tensors, ...(await readHeader(file))];
}

function hasValueHead(name: Role): boolean {
  return name === "critic" || name === "reward";
}
