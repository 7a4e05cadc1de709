/** What a session tells as it happens, and a timeline is made of: samples of memory, actions, generations. */
import { z } from "zod";
import { errorDataSchema } from "../errors.ts";
import { deviceNameSchema } from "../run/placement.ts";
import { consumerName, count, milliseconds, receiptSchema, timeSeconds } from "./vocabulary.ts";

/** Columns of a row of samples, as native/addon.d.ts lays them out: these first, then CONSUMER_COLUMNS per consumer. */
export const HEADER_COLUMNS = 6;
/** Reserved, committed and used bytes. */
export const CONSUMER_COLUMNS = 3;

/** How many numbers one row of a batch has. */
export function rowColumns({ consumers }: { readonly consumers: readonly string[] }): number {
  return HEADER_COLUMNS + CONSUMER_COLUMNS * consumers.length;
}

/** `rows` rows, one behind the other. */
export const sampleBatchSchema = z.object({
  /** One of `SessionState.otherDevices`; left out, the engine's device. */
  device: deviceNameSchema.optional(),
  consumers: z.array(consumerName).max(256),
  rows: count,
  samples: z.array(z.number()),
  dropped: count,
});
export type SampleBatch = z.infer<typeof sampleBatchSchema>;

/** One thing that was done to memory: a marker on the timeline. Failed ones are kept: they are part of the story. */
export const actionRecordSchema = z.object({
  id: count,
  /** When it ended; it took `receipt.milliseconds` (or `milliseconds` when it failed). */
  timeSeconds,
  kind: z.enum([
    "release",
    "resume",
    "load",
    "unload",
    "swap",
    "prepare",
    "lend",
    "end_loan",
    "pause",
    "continue",
    "configure",
  ]),
  consumer: consumerName.optional(),
  /** One line for people: "release engine.kv_cache (discard)". */
  label: z.string(),
  milliseconds,
  receipt: receiptSchema.optional(),
  error: errorDataSchema.optional(),
});
export type ActionRecord = z.infer<typeof actionRecordSchema>;

export const finishReasonSchema = z.enum(["length", "stop", "cancelled", "aborted", "failed"]);

export const generationStateSchema = z.object({
  id: count,
  startedSeconds: timeSeconds,
  finishedSeconds: timeSeconds.optional(),
  /** The weights it began with. */
  weightsVersion: count,
  checkpointName: z.string(),
  requests: z.array(
    z.object({
      prompt: z.string(),
      promptTokens: count,
      newTokens: count,
      /** Decoded text so far; token ids separated by spaces where there is no tokenizer. */
      text: z.string(),
      reason: finishReasonSchema.optional(),
      error: errorDataSchema.optional(),
    }),
  ),
  newTokens: count,
  tokensPerSecond: z.number().nonnegative(),
});
export type GenerationState = z.infer<typeof generationStateSchema>;
