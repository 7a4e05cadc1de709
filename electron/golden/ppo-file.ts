/**
 * A `ppo/NAME` folder: one PPO update that a trusted implementation computed (shapes and conventions in
 * tests/fixtures/README.md), with the padding cut off: a response is its unmasked tokens.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { checkpointFile } from "../../core/checkpoint/checkpoint-file.ts";
import type { TidelineError } from "../../core/errors.ts";
import { refusal } from "../../core/input/fault.ts";
import { parseJsonObject } from "../../core/input/json.ts";
import { parseWith } from "../../core/input/schema-fault.ts";
import type { TensorSource } from "../../native/addon.d.ts";
import { type Checkpoint, openCheckpoint, readHeader } from "../session/checkpoint.ts";
import { readTextFile } from "../session/input-file.ts";
import { GOLDEN_FILE } from "./golden-file.ts";

const MAX_GOLDEN_BYTES = 256 * 2 ** 20;

const rows = z.array(z.array(z.number()).readonly()).min(1).readonly();
const ids = z
  .array(z.array(z.int().min(0)).readonly())
  .min(1)
  .readonly();

const goldenSchema = z.object({
  base_model: z.string().regex(/^[\w.-]+$/, "must be the name of a folder"),
  hyperparameters: z.object({
    kl_coef: z.number(),
    gamma: z.number(),
    lambda: z.number(),
    clip_range: z.number(),
    value_clip_range: z.number(),
    lr: z.number(),
    beta1: z.number(),
    beta2: z.number(),
    eps: z.number(),
    weight_decay: z.number(),
    max_grad_norm: z.number(),
  }),
  prompt_ids: ids,
  response_ids: ids,
  mask: z.array(z.array(z.union([z.literal(0), z.literal(1)])).readonly()).readonly(),
  old_logprobs: rows,
  ref_logprobs: rows,
  old_values: rows,
  scores: z.array(z.number()).readonly(),
  expected: z.object({
    token_rewards: rows,
    advantages: rows,
    normalized_advantages: rows,
    returns: rows,
    new_logprobs: rows,
    values: rows,
    policy_loss: z.number(),
    value_loss: z.number(),
    policy_grad_norm: z.number(),
    critic_grad_norm: z.number(),
    clip_fraction: z.number(),
  }),
});

type Rows = readonly (readonly number[])[];

export interface PpoGolden {
  readonly base: Checkpoint;
  readonly hyperparameters: z.infer<typeof goldenSchema>["hyperparameters"];
  /** Prompt and response of each sequence, without padding, and where the response begins. */
  readonly sequences: readonly { readonly ids: readonly number[]; readonly from: number }[];
  readonly oldLogprobs: Rows;
  readonly referenceLogprobs: Rows;
  readonly oldValues: Rows;
  readonly scores: readonly number[];
  readonly expected: {
    readonly rewards: Rows;
    readonly advantages: Rows;
    readonly whitenedAdvantages: Rows;
    readonly returns: Rows;
    readonly logprobs: Rows;
    readonly values: Rows;
    readonly policyLoss: number;
    readonly valueLoss: number;
    readonly policyGradientNorm: number;
    readonly criticGradientNorm: number;
    readonly clipFraction: number;
  };
  /** The critic's head; its backbone is the base model's. */
  readonly valueHead: readonly TensorSource[];
  readonly policy: RoleTruth;
  readonly critic: RoleTruth;
}

/** By tensor name. */
export type Tensors = ReadonlyMap<string, Float32Array>;

export interface RoleTruth {
  /** Before clipping. */
  readonly gradients: Tensors;
  readonly afterStep: Tensors;
}

/** @throws TidelineError checkpoint_unreadable or checkpoint_invalid, naming the file and the field. */
export async function readPpoGolden(folder: string): Promise<PpoGolden> {
  const file = join(folder, GOLDEN_FILE);
  const source = ppoFile(file);
  const data = parseJsonObject(await readTextFile(file, MAX_GOLDEN_BYTES), source);
  const golden = parseWith(goldenSchema, data, (fault) => refusal(source, fault));
  const lengths = golden.mask.map((row) => row.reduce<number>((sum, one) => sum + one, 0));
  const isRightPadded = golden.mask.every((row, index) =>
    row.every((one, at) => (one === 1) === at < (lengths[index] ?? 0)),
  );
  if (!isRightPadded) throw invalid(file, "mask", "must be ones, then zeros");
  const cut = (padded: Rows): Rows => {
    if (padded.length !== lengths.length) throw invalid(file, "mask", "has another number of rows than the inputs");
    return padded.map((row, index) => row.slice(0, lengths[index]));
  };
  const responses = cut(golden.response_ids);
  const { expected } = golden;
  const role = async (name: string): Promise<RoleTruth> => ({
    gradients: await readTensors(join(folder, `${name}_grad.safetensors`)),
    afterStep: await readTensors(join(folder, `${name}_after_step.safetensors`)),
  });
  return {
    base: await openCheckpoint(join(folder, "../../checkpoints", golden.base_model)),
    hyperparameters: golden.hyperparameters,
    sequences: golden.prompt_ids.map((prompt, index) => ({
      ids: [...prompt, ...(responses[index] ?? [])],
      from: prompt.length,
    })),
    oldLogprobs: cut(golden.old_logprobs),
    referenceLogprobs: cut(golden.ref_logprobs),
    oldValues: cut(golden.old_values),
    scores: golden.scores,
    expected: {
      rewards: cut(expected.token_rewards),
      advantages: cut(expected.advantages),
      whitenedAdvantages: cut(expected.normalized_advantages),
      returns: cut(expected.returns),
      logprobs: cut(expected.new_logprobs),
      values: cut(expected.values),
      policyLoss: expected.policy_loss,
      valueLoss: expected.value_loss,
      policyGradientNorm: expected.policy_grad_norm,
      criticGradientNorm: expected.critic_grad_norm,
      clipFraction: expected.clip_fraction,
    },
    valueHead: await readHeader(join(folder, "value_head.safetensors")),
    policy: await role("policy"),
    critic: await role("critic"),
  };
}

async function readTensors(file: string): Promise<Tensors> {
  const header = await readHeader(file);
  const bytes = await readFile(file);
  const tensors = new Map<string, Float32Array>();
  for (const { name, dtype, offset, bytes: size } of header) {
    if (dtype !== "F32") throw invalid(file, name, `is ${dtype}, and has to be F32`);
    tensors.set(
      name,
      new Float32Array(bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + size)),
    );
  }
  return tensors;
}

function ppoFile(file: string) {
  return checkpointFile(file, "The shape of a ppo folder is described in tests/fixtures/README.md.");
}

function invalid(file: string, field: string, message: string): TidelineError {
  return refusal(ppoFile(file), { path: [field], message });
}
