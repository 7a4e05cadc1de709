/** The words of the contract that more than one message uses: names and units, modes of memory, receipts. */
import { z } from "zod";
import { ENGINE_TAGS, RESIDENCIES, ROLES } from "../consumers.ts";

export const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
export const count = z.number().int().nonnegative();
export const milliseconds = z.number().nonnegative();
/** Unix time in seconds, with fractions. */
export const timeSeconds = z.number();
export const consumerName = z.string().min(1).max(64);
export const path = z.string().min(1).max(4096);

export const residencySchema = z.enum(RESIDENCIES);
export type Residency = z.infer<typeof residencySchema>;
export const contentsSchema = z.enum(["defined", "undefined"]);
export type Contents = z.infer<typeof contentsSchema>;
export const releaseModeSchema = z.enum(["discard", "host", "disk", "clean"]);
export type ReleaseMode = z.infer<typeof releaseModeSchema>;
export const releaseDestinationSchema = z.enum(["hold", "return"]);
export type ReleaseDestination = z.infer<typeof releaseDestinationSchema>;
export const pauseModeSchema = z.enum(["abort", "retract", "in_place"]);
export type PauseMode = z.infer<typeof pauseModeSchema>;
export const runningPolicySchema = z.enum(["refuse", "finish", "cancel"]);
export type RunningPolicy = z.infer<typeof runningPolicySchema>;
export const swapMethodSchema = z.enum(["auto", "share", "copy", "bucketed"]);
export type SwapMethod = z.infer<typeof swapMethodSchema>;
export const roleSchema = z.enum(ROLES);
export const engineTagSchema = z.enum(ENGINE_TAGS);

export const samplingSchema = z.object({
  temperature: z.number().min(0).max(100),
  topK: count.max(1_000_000),
  topP: z.number().gt(0).max(1),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** What a release, resume, load, swap or prepare did and cost (native/addon.d.ts says what each figure means). */
export const receiptSchema = z.object({
  action: z.enum(["release", "resume", "load", "swap", "prepare"]),
  consumer: consumerName,
  method: z.string(),
  bytesFreed: bytes,
  bytesRetained: bytes,
  bytesCommitted: bytes,
  bytesCopied: bytes,
  bytesPrepared: bytes.exactOptional(),
  milliseconds,
});
export type Receipt = z.infer<typeof receiptSchema>;
