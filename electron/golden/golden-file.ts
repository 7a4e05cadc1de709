/**
 * golden.json of a checkpoint folder: what a trusted implementation computed from the same weights (shapes in
 * tests/fixtures/README.md).
 */
import { join } from "node:path";
import { z } from "zod";
import { checkpointFile } from "../../core/checkpoint/checkpoint-file.ts";
import { refusal } from "../../core/input/fault.ts";
import { parseJsonObject } from "../../core/input/json.ts";
import { parseWith } from "../../core/input/schema-fault.ts";
import { readTextFile } from "../session/input-file.ts";

export const GOLDEN_FILE = "golden.json";
const MAX_GOLDEN_BYTES = 256 * 2 ** 20;

const numbers = z.array(z.number()).readonly();

const promptSchema = z
  .object({
    prompt: z.array(z.int().min(0)).min(1).readonly(),
    last_logits: numbers,
    prompt_logprobs: numbers,
    greedy: z.array(z.int().min(0)).readonly(),
    greedy_logprobs: numbers,
    greedy_margin: numbers,
  })
  .refine(
    ({ prompt, prompt_logprobs }) => prompt_logprobs.length === prompt.length - 1,
    "must have one entry less in prompt_logprobs than in prompt",
  )
  .refine(
    ({ greedy, greedy_logprobs, greedy_margin }) =>
      greedy_logprobs.length === greedy.length && greedy_margin.length === greedy.length,
    "must have as many entries in greedy_logprobs and greedy_margin as in greedy",
  )
  .transform((golden) => ({
    prompt: golden.prompt,
    lastLogits: golden.last_logits,
    /** Of each prompt token after the first, given the ones before. */
    promptLogprobs: golden.prompt_logprobs,
    /** Per step: the best token, its log-prob, and how far its logit is above the second best. */
    greedy: golden.greedy,
    greedyLogprobs: golden.greedy_logprobs,
    greedyMargin: golden.greedy_margin,
  }));

const goldenSchema = z.object({ dtype: z.string(), cases: z.array(promptSchema).min(1).readonly() });

export type GoldenPrompt = z.infer<typeof promptSchema>;
export type Golden = z.infer<typeof goldenSchema>;

/** @throws TidelineError checkpoint_unreadable or checkpoint_invalid, naming the file and the field. */
export async function readGolden(folder: string): Promise<Golden> {
  const file = join(folder, GOLDEN_FILE);
  const source = checkpointFile(file, "The shape of golden.json is described in tests/fixtures/README.md.");
  const data = parseJsonObject(await readTextFile(file, MAX_GOLDEN_BYTES), source);
  return parseWith(goldenSchema, data, (fault) => refusal(source, fault));
}

/** Largest absolute error allowed: float32 weights are held to more, as nothing was rounded but the arithmetic. */
export function toleranceFor(golden: Golden): number {
  return golden.dtype === "float32" ? 2e-4 : 2e-3;
}
