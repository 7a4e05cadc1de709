/**
 * Makes assets/demo-ppo: the small models that the demo of the PPO loop starts from, all of them learned by this
 * project's own trainer. The policy has seen sums of which most were wrong, so it knows the right answers and gives them
 * about a third of the time: what PPO can improve on. The reward model has learned to tell right from wrong sums.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NativeDevice, NativeModel, NativeTrainer, TensorSource, TidelineAddon } from "../../../native/addon.d.ts";
import { type Checkpoint, openCheckpoint, readHeader, writeCheckpoint } from "../../session/checkpoint.ts";
import { openTokenizer } from "../../session/tokenizer.ts";
import { END_TOKEN_ID } from "../../synthetic/byte-tokenizer.ts";
import { type Random, randomOf, wholeNumber } from "../random.ts";
import { ADDITION, sumOf } from "../task.ts";
import { writeValueHead } from "../value-head.ts";
import { DEMO_CONFIG, writeRandomCheckpoint } from "./checkpoint-files.ts";

const CAPACITY_BYTES = 256 * 2 ** 20;
const BATCH = 128;
const SEQUENCE_TOKENS = 16;
/** Every sum is learned before any wrong one is shown. */
const CLEAN_STEPS = 900;
const NOISY_STEPS = 900;
const REWARD_STEPS = 400;
const LEARNING_RATE = 3e-3;
/** Of the noisy examples. */
const RIGHT_SHARE = 1 / 3;
/** Wrong answers are at most this far from the right one. */
const WRONG_BY = 5;

export interface MakeDemoOptions {
  readonly folder: string;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

/** Writes `policy`, `critic` and `reward` below the folder, in the place of what has these names. Same seed: same bytes. */
export async function makeDemo(addon: TidelineAddon, { folder, seed, onProgress }: MakeDemoOptions): Promise<void> {
  const drafts = await mkdtemp(join(tmpdir(), "tideline-demo-"));
  const device = addon.openDevice({ name: "host", capacityBytes: CAPACITY_BYTES });
  const maker: Maker = { addon, device, onProgress };
  try {
    for (const name of ["policy", "critic", "reward"]) await rm(join(folder, name), { recursive: true, force: true });
    const start = join(drafts, "start");
    await writeRandomCheckpoint(start, randomOf(seed, 0));
    const policy = await learnPolicy(maker, await openCheckpoint(start), join(folder, "policy"), randomOf(seed, 1));
    const headFile = join(drafts, "value-head.safetensors");
    await writeValueHead(headFile, DEMO_CONFIG.hiddenSize);
    const withHead = [...policy.tensors, ...(await readHeader(headFile))];
    await learnValues(maker, policy, withHead, join(folder, "critic"), 0, randomOf(seed, 2));
    await learnValues(maker, policy, withHead, join(folder, "reward"), REWARD_STEPS, randomOf(seed, 3));
    await writeFile(join(folder, "made.json"), `${JSON.stringify({ command: "npm run make-demo", seed })}\n`);
  } finally {
    await device.close();
    await rm(drafts, { recursive: true, force: true });
  }
}

interface Maker {
  readonly addon: TidelineAddon;
  readonly device: NativeDevice;
  readonly onProgress: (line: string) => void;
}

async function learnPolicy(maker: Maker, start: Checkpoint, folder: string, random: Random): Promise<Checkpoint> {
  const examples = await exampleMaker(start);
  return withTrainer(maker, "lm", start.tensors, async (model, trainer) => {
    const steps = CLEAN_STEPS + NOISY_STEPS;
    for (let step = 0; step < steps; step++) {
      const rightShare = step < CLEAN_STEPS ? 1 : RIGHT_SHARE;
      const batch = Array.from({ length: BATCH }, () => examples(random, rightShare));
      const { loss } = await trainer.languageStep(batch.map(({ ids, from }) => ({ ids, from })));
      await trainer.optimizerStep({ learningRate: LEARNING_RATE * warmUpAndDown(step, steps), weightDecay: 0 });
      if (step % 100 === 99) maker.onProgress(`policy  step ${step + 1} of ${steps}  loss ${loss.toFixed(4)}`);
    }
    return writeCheckpoint({ folder, like: start, weights: model });
  });
}

/** A value head on the policy's layers. Without steps it values everything at nothing. */
async function learnValues(
  maker: Maker,
  policy: Checkpoint,
  tensors: readonly TensorSource[],
  folder: string,
  steps: number,
  random: Random,
): Promise<void> {
  const examples = await exampleMaker(policy);
  await withTrainer(maker, "value", tensors, async (model, trainer) => {
    for (let step = 0; step < steps; step++) {
      const batch = Array.from({ length: BATCH }, () => examples(random, 0.5));
      const rows = batch.map(({ ids, isRight }) => ({
        ids,
        from: ids.length - 1,
        oldValues: [0],
        returns: [isRight ? 1 : 0],
      }));
      const { loss } = await trainer.criticStep(rows, {});
      await trainer.optimizerStep({ learningRate: (LEARNING_RATE / 3) * warmUpAndDown(step, steps), weightDecay: 0 });
      if (step % 100 === 99) maker.onProgress(`reward  step ${step + 1} of ${steps}  loss ${loss.toFixed(4)}`);
    }
    await writeCheckpoint({ folder, like: policy, weights: model });
  });
}

interface Example {
  readonly ids: readonly number[];
  /** Where the answer begins. */
  readonly from: number;
  readonly isRight: boolean;
}

async function exampleMaker(checkpoint: Checkpoint): Promise<(random: Random, rightShare: number) => Example> {
  const tokenizer = await openTokenizer(checkpoint);
  if (tokenizer === undefined) throw new Error("the demo's checkpoint has no tokenizer");
  return (random, rightShare) => {
    const prompt = ADDITION.prompt(random);
    const right = sumOf(prompt);
    const answer =
      random() < rightShare ? right : Math.max(0, right - WRONG_BY + wholeNumber(random, 2 * WRONG_BY + 1));
    const promptIds = tokenizer.encode(prompt);
    const ids = [...promptIds, ...tokenizer.encode(String(answer)), END_TOKEN_ID];
    return { ids, from: promptIds.length, isRight: answer === right };
  };
}

/** Rises over the first twentieth, then falls to nothing on a cosine. */
function warmUpAndDown(step: number, steps: number): number {
  return Math.min(1, (step + 1) / (steps / 20)) * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps));
}

async function withTrainer<T>(
  { addon, device }: Maker,
  head: "lm" | "value",
  tensors: readonly TensorSource[],
  use: (model: NativeModel, trainer: NativeTrainer) => Promise<T>,
): Promise<T> {
  const config = DEMO_CONFIG;
  const model = addon.createModel(device, { config, dtype: "float32", consumer: "policy.weights", head });
  const trainer = addon.createTrainer(device, {
    model,
    consumerPrefix: "policy",
    microBatch: BATCH,
    sequenceTokens: SEQUENCE_TOKENS,
    logitRows: BATCH * SEQUENCE_TOKENS,
  });
  try {
    await model.load(tensors);
    for (const tag of ["gradients", "optimizer", "activations", "logits"] as const) await trainer.resume(tag);
    return await use(model, trainer);
  } finally {
    await trainer.close();
    await model.close();
  }
}
