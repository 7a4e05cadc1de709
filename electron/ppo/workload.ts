/** A workload: which models learn what, with which numbers. With a schedule it is a whole run. */
import { join } from "node:path";
import { TidelineError } from "../../core/errors.ts";
import { type PlacedDevice, placedDevices } from "../../core/run/placement.ts";
import type { Roles } from "../../core/schedule/schedule.ts";
import { type Checkpoint, openCheckpoint } from "../session/checkpoint.ts";
import { openTokenizer, type Tokenizer } from "../session/tokenizer.ts";
import { requireRoomInEveryStep } from "./rollouts.ts";
import { type Task, taskNamed } from "./task.ts";
import { VALUE_HEAD } from "./value-head.ts";
import type { RoleFolders, WorkloadSettings } from "./workload-settings.ts";

export interface Workload {
  readonly settings: WorkloadSettings;
  readonly task: Task;
  readonly tokenizer: Tokenizer;
  readonly checkpoints: {
    readonly policy: Checkpoint;
    readonly critic: Checkpoint;
    readonly reference: Checkpoint;
    readonly reward?: Checkpoint;
  };
}

/** The devices of a run whose own is `deviceName`, the engine's first. */
export function devicesOf({ settings, checkpoints }: Workload, deviceName: string): readonly PlacedDevice[] {
  const { placement, device } = settings;
  return placedDevices({
    deviceName,
    placement,
    capacityBytes: device.capacityBytes,
    deviceCapacities: device.capacities,
    hasRewardModel: checkpoints.reward !== undefined,
  });
}

/**
 * Opens the checkpoints of a workload (headers only).
 * @throws TidelineError those of openCheckpoint, naming the role; `weights_mismatch` for vocabularies that differ; `bad_argument`.
 */
export async function openWorkload(settings: WorkloadSettings): Promise<Workload> {
  const { roles, task } = settings;
  const policy = await openRole("policy", roles.policy);
  const critic = await openRole("critic", roles.critic);
  const reference = await openRole("reference", roles.reference);
  const reward = roles.reward === undefined ? undefined : await openRole("reward", roles.reward);
  for (const [role, other] of Object.entries({ critic, reference, reward })) {
    if (other === undefined || other.config.vocabSize === policy.config.vocabSize) continue;
    throw new TidelineError({
      code: "weights_mismatch",
      field: role,
      message: `the ${role} has a vocabulary of ${other.config.vocabSize} tokens, the policy one of ${policy.config.vocabSize}`,
      hint: "All roles read the same token ids: choose checkpoints with one tokenizer.",
    });
  }
  if (reward !== undefined) requireValueHead(reward);
  const tokenizer = await openTokenizer(policy);
  if (tokenizer === undefined) {
    throw new TidelineError({
      code: "bad_argument",
      field: "roles.policy",
      file: join(policy.path, "tokenizer.json"),
      message: `${policy.path} has no tokenizer.json, and the prompts of ${task} are text`,
      hint: "Put the model's tokenizer.json into its folder.",
    });
  }
  const workload: Workload = {
    settings,
    task: taskNamed(task),
    tokenizer,
    checkpoints: { policy, critic, reference, ...(reward !== undefined && { reward }) },
  };
  // Too long a prompt is found now, and not when models are loaded.
  requireRoomInEveryStep(workload);
  return workload;
}

async function openRole(role: keyof RoleFolders, folder: string): Promise<Checkpoint> {
  try {
    return await openCheckpoint(folder);
  } catch (error) {
    if (!(error instanceof TidelineError)) throw error;
    throw new TidelineError({ ...error.data, message: `${role}: ${error.message}` }, { cause: error });
  }
}

/** A critic can begin with one that is made for it, a reward model has learnt its own. */
function requireValueHead({ path, tensors }: Checkpoint): void {
  if (tensors.some(({ name }) => name === VALUE_HEAD)) return;
  throw new TidelineError({
    code: "weights_mismatch",
    field: "roles.reward",
    file: path,
    message: `reward: ${path} has no ${VALUE_HEAD}, which a reward model scores with`,
    hint: "Choose the folder of a reward model, or none: the task's rule rewards then.",
  });
}

/** The precision in which each role lies on the device: that of its checkpoint, unless the settings say otherwise. */
export function rolesOf({ settings, checkpoints }: Workload): Roles {
  const { policy, critic, reference, reward } = checkpoints;
  const policyPrecision = settings.precision.policy ?? PRECISIONS[policy.dtype];
  return {
    engine: settings.precision.engine ?? policyPrecision,
    policy: policyPrecision,
    critic: PRECISIONS[critic.dtype],
    reference: PRECISIONS[reference.dtype],
    reward: reward === undefined ? "rule" : PRECISIONS[reward.dtype],
  };
}

/** @throws TidelineError `bad_argument` for a schedule's roles that reward otherwise than the workload. */
export function requireSameReward(roles: Roles, { checkpoints }: Workload): void {
  const hasRule = checkpoints.reward === undefined;
  if (hasRule === (roles.reward === "rule")) return;
  throw new TidelineError({
    code: "bad_argument",
    field: "roles.reward",
    message: hasRule
      ? `the schedule has a reward model (${roles.reward}), and the workload none`
      : "the schedule rewards by a rule, and the workload has a reward model",
    hint: hasRule ? "Give the reward model's folder, or write rule." : "Leave the model out, or write its precision.",
  });
}

const PRECISIONS = { float32: "fp32", bfloat16: "bf16", float16: "fp16" } as const;
