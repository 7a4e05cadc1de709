/**
 * One PPO update by this project's trainer against what automatic differentiation in double precision computed for it:
 * rewards, advantages, losses, the gradient of every tensor, and the parameters after the step. All of it again with
 * gradient checkpointing, other micro-batches, and every consumer released and brought back in between: none of these
 * may change the answer.
 */
import type { NativeModel, NativeTrainer, TidelineAddon, TrainerLimits, TrainerTag } from "../../native/addon.d.ts";
import { type Comparison, worst } from "./compare.ts";
import type { PpoGolden, RoleTruth } from "./ppo-file.ts";
import type { Stage } from "./stages.ts";

/** Largest relative error in the L2 norm, of everything: float32 arithmetic against float64. */
export const PPO_TOLERANCE = 1e-4;

const CAPACITY_BYTES = 2 ** 30;
const TRAINER_TAGS = ["gradients", "optimizer", "activations", "logits"] as const satisfies readonly TrainerTag[];

interface Variant extends TrainerLimits {
  readonly name: string;
  /** Where consumers are offloaded to between the phases. */
  readonly released?: "host" | "disk";
}

/** @param directory for backups on disk. */
export function ppoStages(
  addon: TidelineAddon,
  deviceName: string,
  golden: PpoGolden,
  directory: string,
): readonly Stage[] {
  const count = golden.sequences.length;
  const variants: readonly Variant[] = [
    { name: "one batch", microBatch: count },
    { name: "checkpointing", microBatch: count, checkpointing: true },
    { name: "micro-batch 1", microBatch: 1 },
    { name: "micro-batch 2, logits 3", microBatch: 2, logitRows: 3 },
    { name: "released: host", microBatch: 2, released: "host" },
    { name: "released: disk", microBatch: 1, checkpointing: true, released: "disk" },
  ];
  return [
    { name: "rewards and advantages", run: async () => compareAdvantages(addon, golden) },
    ...variants.flatMap((variant) => [
      { name: `policy, ${variant.name}`, run: () => runPolicy(addon, deviceName, golden, variant, directory) },
      { name: `critic, ${variant.name}`, run: () => runCritic(addon, deviceName, golden, variant, directory) },
    ]),
  ];
}

function compareAdvantages(addon: TidelineAddon, golden: PpoGolden): Comparison {
  const { oldLogprobs, referenceLogprobs, oldValues, scores, hyperparameters, expected } = golden;
  const { kl_coef: klCoefficient, gamma, lambda } = hyperparameters;
  const computed = addon.ppoAdvantages({
    oldLogprobs,
    referenceLogprobs,
    values: oldValues,
    scores,
    klCoefficient,
    gamma,
    lambda,
  });
  return worst([
    relative("token rewards", expected.rewards.flat(), flat(computed.rewards)),
    relative("advantages", expected.advantages.flat(), flat(computed.advantages)),
    relative("whitened advantages", expected.whitenedAdvantages.flat(), flat(computed.whitenedAdvantages)),
    relative("returns", expected.returns.flat(), flat(computed.returns)),
  ]);
}

async function runPolicy(
  addon: TidelineAddon,
  deviceName: string,
  golden: PpoGolden,
  variant: Variant,
  directory: string,
) {
  const { sequences, oldLogprobs, hyperparameters, expected } = golden;
  return withRole(
    addon,
    deviceName,
    golden,
    "policy",
    variant,
    directory,
    async ({ trainer, betweenPhases, update }) => {
      const scores = await trainer.scoreTokens(sequences);
      await betweenPhases();
      const batch = sequences.map((sequence, index) => ({
        ...sequence,
        oldLogprobs: oldLogprobs[index] ?? [],
        advantages: expected.whitenedAdvantages[index] ?? [],
      }));
      const { loss, clipFraction } = await trainer.policyStep(batch, { clipRange: hyperparameters.clip_range });
      return worst([
        relative("log-probs", expected.logprobs.flat(), flat(scores.map(({ logprobs }) => logprobs))),
        relative("policy loss", [expected.policyLoss], [loss]),
        relative("clip fraction", [expected.clipFraction], [clipFraction]),
        await update(golden.policy, expected.policyGradientNorm),
      ]);
    },
  );
}

async function runCritic(
  addon: TidelineAddon,
  deviceName: string,
  golden: PpoGolden,
  variant: Variant,
  directory: string,
) {
  const { sequences, oldValues, hyperparameters, expected } = golden;
  // A token's value is read where it is chosen: one row before its own.
  const rows = sequences.map(({ ids, from }) => ({ ids, from: from - 1 }));
  return withRole(
    addon,
    deviceName,
    golden,
    "critic",
    variant,
    directory,
    async ({ trainer, betweenPhases, update }) => {
      const values = await trainer.values(rows);
      await betweenPhases();
      const batch = rows.map((row, index) => ({
        ...row,
        oldValues: oldValues[index] ?? [],
        returns: expected.returns[index] ?? [],
      }));
      const { loss } = await trainer.criticStep(batch, { clipRange: hyperparameters.value_clip_range });
      return worst([
        relative(
          "values",
          expected.values.flat(),
          flat(values.map((row, index) => row.subarray(0, oldValues[index]?.length))),
        ),
        relative("value loss", [expected.valueLoss], [loss]),
        await update(golden.critic, expected.criticGradientNorm),
      ]);
    },
  );
}

interface RoleRun {
  readonly trainer: NativeTrainer;
  /** Releases and brings back everything that has contents, when the variant asks for it. */
  betweenPhases(): Promise<void>;
  /** Compares the accumulated gradients, applies them, and compares the parameters. */
  update(truth: RoleTruth, gradientNorm: number): Promise<Comparison>;
}

async function withRole(
  addon: TidelineAddon,
  deviceName: string,
  { base, valueHead, hyperparameters: hyper }: PpoGolden,
  role: "policy" | "critic",
  { name: _, released, ...limits }: Variant,
  directory: string,
  use: (run: RoleRun) => Promise<Comparison>,
): Promise<Comparison> {
  const device = addon.openDevice({ name: deviceName, capacityBytes: CAPACITY_BYTES });
  const model = addon.createModel(device, {
    config: base.config,
    dtype: "float32",
    consumer: `${role}.weights`,
    head: role === "critic" ? "value" : "lm",
  });
  const trainer = addon.createTrainer(device, {
    model,
    consumerPrefix: role,
    sequenceTokens: base.config.maxPositions,
    ...limits,
  });
  const betweenPhases = async () => {
    if (released !== undefined) await releaseAndResume(model, trainer, released, directory);
  };
  try {
    await model.load(role === "critic" ? [...base.tensors, ...valueHead] : base.tensors);
    for (const tag of TRAINER_TAGS) await trainer.resume(tag);
    return await use({
      trainer,
      betweenPhases,
      update: async (truth, gradientNorm) => {
        await betweenPhases();
        const gradients = await compareTensors("gradient of", truth.gradients, (tensor) =>
          trainer.readGradient(tensor),
        );
        const receipt = await trainer.optimizerStep({
          learningRate: hyper.lr,
          beta1: hyper.beta1,
          beta2: hyper.beta2,
          eps: hyper.eps,
          weightDecay: hyper.weight_decay,
          maxGradientNorm: hyper.max_grad_norm,
        });
        await betweenPhases();
        return worst([
          gradients,
          relative("gradient norm", [gradientNorm], [receipt.gradientNorm]),
          await compareTensors("after the step,", truth.afterStep, async (tensor) =>
            floats(await model.readTensor(tensor)),
          ),
        ]);
      },
    });
  } finally {
    await trainer.close();
    await model.close();
    await device.close();
  }
}

async function releaseAndResume(model: NativeModel, trainer: NativeTrainer, mode: "host" | "disk", directory: string) {
  await model.release({ mode, directory });
  for (const { tag, contents } of trainer.observe()) {
    const known = TRAINER_TAGS.find((one) => one === tag);
    if (known !== undefined)
      await trainer.release(known, { mode: contents === "defined" ? mode : "discard", directory });
  }
  await model.resume();
  for (const tag of TRAINER_TAGS) await trainer.resume(tag);
}

async function compareTensors(
  what: string,
  truth: ReadonlyMap<string, Float32Array>,
  read: (tensor: string) => Promise<Float32Array>,
): Promise<Comparison> {
  const comparisons: Comparison[] = [];
  for (const [tensor, expected] of truth) comparisons.push(relative(`${what} ${tensor}`, expected, await read(tensor)));
  return worst(comparisons);
}

/** Relative error in the L2 norm; another length is a failure, and so is anything that is not a number. */
function relative(what: string, expected: ArrayLike<number>, computed: ArrayLike<number>): Comparison {
  if (expected.length !== computed.length) {
    return {
      worstError: Number.POSITIVE_INFINITY,
      failure: `${what}: ${computed.length} numbers, expected ${expected.length}`,
    };
  }
  let squaredError = 0;
  let squares = 0;
  for (let index = 0; index < expected.length; index++) {
    const truth = expected[index] ?? Number.NaN;
    squaredError += ((computed[index] ?? Number.NaN) - truth) ** 2;
    squares += truth ** 2;
  }
  const error = squaredError === 0 ? 0 : Math.sqrt(squaredError / squares);
  const worstError = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  return { worstError, failure: worstError <= PPO_TOLERANCE ? undefined : `${what}: relative error ${worstError}` };
}

function flat(rows: readonly ArrayLike<number>[]): readonly number[] {
  return rows.flatMap((row) => Array.from(row));
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT);
}
