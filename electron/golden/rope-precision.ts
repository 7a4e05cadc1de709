/**
 * Which rotation frequencies the truth was computed with. PyTorch rounds them when a whole model is cast with
 * `.to(torch.bfloat16)`, and leaves them exact when its weights are loaded as bfloat16; golden.json does not say which
 * was done, and the two differ by more than the tolerance. The engine can do both, and its own answers tell.
 */
import type { TidelineAddon } from "../../native/addon.d.ts";
import type { Checkpoint } from "../session/checkpoint.ts";
import { compareNumbers } from "./compare.ts";
import { EngineRun } from "./engine-run.ts";
import { toleranceFor } from "./golden-file.ts";
import type { GoldenCheckpoint } from "./stages.ts";

/**
 * The case with `rope.frequencyDtype` set when exact frequencies miss the logits of its longest prompt and rounded
 * ones come closer; as it is otherwise. Whatever is chosen then has to hold in every stage.
 */
export async function withRopeOfTruth(addon: TidelineAddon, a: GoldenCheckpoint): Promise<GoldenCheckpoint> {
  const { checkpoint, golden } = a;
  if (checkpoint.dtype === "float32") return a;
  const exactError = await longestPromptError(addon, a);
  if (exactError <= toleranceFor(golden)) return a;
  const rounded = { checkpoint: withFrequencyDtype(checkpoint), golden };
  return (await longestPromptError(addon, rounded)) < exactError ? rounded : a;
}

function withFrequencyDtype(checkpoint: Checkpoint): Checkpoint {
  const { config, dtype } = checkpoint;
  return { ...checkpoint, config: { ...config, rope: { ...config.rope, frequencyDtype: dtype } } };
}

/** Where positions are highest the frequencies show most. */
async function longestPromptError(addon: TidelineAddon, { checkpoint, golden }: GoldenCheckpoint): Promise<number> {
  const longest = golden.cases.reduce((best, other) => (other.prompt.length > best.prompt.length ? other : best));
  const run = await EngineRun.open(addon, checkpoint, golden);
  try {
    return compareNumbers("logit", longest.lastLogits, await run.lastLogits(longest.prompt), 0).worstError;
  } finally {
    await run.close();
  }
}
