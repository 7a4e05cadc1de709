/**
 * Which rotation frequencies the truth was computed with. PyTorch rounds them when a whole model is cast with
 * `.to(torch.bfloat16)`, and leaves them exact when its weights are loaded as bfloat16; golden.json does not say which
 * was done, and the two differ by more than the tolerance. The engine can do both, and its own answers tell.
 */
import type { TidelineAddon } from "../../native/addon.d.ts";
import type { Checkpoint } from "../session/checkpoint.ts";
import { type Comparison, compareNumbers, worst } from "./compare.ts";
import { EngineRun } from "./engine-run.ts";
import type { GoldenCheckpoint } from "./stages.ts";

/**
 * The case as the truth computed it: with `rope.frequencyDtype` set when rounded frequencies come closer to its logits
 * than exact ones. Whatever is chosen then has to hold in every stage.
 */
export async function withRopeOfTruth(
  addon: TidelineAddon,
  deviceName: string,
  exact: GoldenCheckpoint,
): Promise<GoldenCheckpoint> {
  const { checkpoint, golden } = exact;
  if (checkpoint.dtype === "float32") return exact;
  const rounded = { checkpoint: withFrequencyDtype(checkpoint), golden };
  return (await logitsError(addon, deviceName, rounded)) < (await logitsError(addon, deviceName, exact))
    ? rounded
    : exact;
}

function withFrequencyDtype(checkpoint: Checkpoint): Checkpoint {
  const { config, dtype } = checkpoint;
  return { ...checkpoint, config: { ...config, rope: { ...config.rope, frequencyDtype: dtype } } };
}

/** Worst error of the logits after each prompt. */
async function logitsError(
  addon: TidelineAddon,
  deviceName: string,
  { checkpoint, golden }: GoldenCheckpoint,
): Promise<number> {
  const run = await EngineRun.open(addon, deviceName, checkpoint, golden);
  try {
    const comparisons: Comparison[] = [];
    for (const { prompt, lastLogits } of golden.cases) {
      comparisons.push(compareNumbers("logit", lastLogits, await run.lastLogits(prompt), 0));
    }
    return worst(comparisons).worstError;
  } finally {
    await run.close();
  }
}
