/** What can be asked of an estimate, and how an impossible question is refused: at the field, with the range. */
import { z } from "zod";
import { wholeSchema } from "../../../checkpoint/model-config.ts";
import { TidelineError } from "../../../errors.ts";
import { fieldOf } from "../../../input/fault.ts";
import { parseWith } from "../../../input/schema-fault.ts";
import type { Architecture, FeedForward, Head } from "../../models/architecture.ts";

/** Largest batch and row taken; what they lead to is checked besides. */
export const MOST = 2 ** 26;

export const WORKLOADS = ["score", "train"] as const;
export const PRECISIONS = ["bf16", "fp32-master", "fp32"] as const;

const flag = z.boolean();
export const estimateQuestionSchema = z.strictObject({
  workload: z.enum(WORKLOADS),
  batch: wholeSchema(1, MOST),
  sequence: wholeSchema(2, MOST),
  /** `fp32-master`: weights, gradients and moments in float32, matrix products in bfloat16 (`torch.autocast`); `fp32`: those too. */
  precision: z.enum(PRECISIONS),
  gradientCheckpointing: flag.default(false),
  attention: z.enum(["sdpa", "eager", "flash"]).default("sdpa"),
  /** Rows of different lengths, with an attention mask; packed rows need one too, unless the kernel is `flash`. */
  masked: flag.default(false),
  /** Rows whose logits are computed at a time. */
  lossRows: wholeSchema(1, MOST).exactOptional(),
  /** Adapters of this rank on every linear layer learn, nothing else. */
  loraRank: wholeSchema(1, 65_536).exactOptional(),
  head: z.enum(["language", "value"] as const satisfies readonly Head[]).default("language"),
});
export type EstimateQuestion = z.infer<typeof estimateQuestionSchema>;

/** @throws TidelineError bad_argument with the field and its range. */
export function parseEstimateQuestion(given: z.input<typeof estimateQuestionSchema>): EstimateQuestion {
  const question = parseWith(estimateQuestionSchema, given, ({ path, message, hint }) =>
    badField(fieldOf(path), message, hint),
  );
  if (question.workload === "score" && question.loraRank !== undefined) {
    throw badField("loraRank", "must be left out for score: only a model that trains has adapters that learn");
  }
  return question;
}

export function requireCountable(architecture: Architecture, question: EstimateQuestion): void {
  const most = mostCountableRows(architecture, question.sequence, question.attention === "eager" || question.masked);
  if (question.batch <= most) return;
  if (most >= 1) throw badField("batch", `must be at most ${most} for rows of ${question.sequence} tokens`);
  throw badField(
    "sequence",
    `is too long to be counted: a single row of ${question.sequence} tokens takes more than 2^53 bytes`,
  );
}

/** Bytes are counted in whole numbers, which JavaScript has up to 2^53: what a pass over so many rows takes is below. */
export function mostCountableRows(
  { vocabSize, hiddenSize, runs }: Architecture,
  sequence: number,
  keepsScores: boolean,
): number {
  const widest = Math.max(vocabSize, hiddenSize, ...runs.map(({ layer }) => widthOf(layer.feedForward)));
  const layers = runs.reduce((sum, { count }) => sum + count, 0);
  const scores = keepsScores ? sequence * heads(runs) : 0;
  // A dozen tensors of four bytes as wide as the widest, in every layer.
  return Math.floor(Number.MAX_SAFE_INTEGER / (sequence * (widest + scores) * 48 * layers));
}

function heads(runs: Architecture["runs"]): number {
  return Math.max(...runs.map(({ layer }) => layer.attention.heads));
}

function widthOf(feedForward: FeedForward): number {
  return feedForward.kind === "gated" ? feedForward.intermediate : feedForward.active * 2 * feedForward.intermediate;
}

function badField(field: string, problem: string, hint = "`tideline estimate --help` says what can be given.") {
  return new TidelineError({ code: "bad_argument", field, message: `${field} ${problem}`, hint });
}
