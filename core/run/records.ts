/**
 * What is recorded of a PPO run: its phases and steps, as the report writes them and every window draws them. Times are
 * Unix seconds, so that they lie on the timeline of the samples.
 */
import { z } from "zod";
import { SCHEDULED_CONSUMERS, WORKS } from "../schedule/works.ts";

const count = z.number().int().nonnegative();
const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const seconds = z.number().nonnegative();

/** What one step taught, and how. Means are over tokens of responses unless said otherwise. */
export const stepStatisticsSchema = z.object({
  /** Mean over rollouts of what the rule or the reward model gave. */
  reward: z.number(),
  /** Log-prob of the policy less that of the reference. */
  kl: z.number(),
  policyLoss: z.number(),
  valueLoss: z.number(),
  entropy: z.number(),
  clipFraction: z.number(),
  /** Mean over rollouts. */
  responseTokens: z.number(),
});
export type StepStatistics = z.infer<typeof stepStatisticsSchema>;

/** A rollout as a person reads it. */
export const rolloutSampleSchema = z.object({ prompt: z.string(), response: z.string(), reward: z.number() });
export type RolloutSample = z.infer<typeof rolloutSampleSchema>;

const holdersSchema = z.partialRecord(z.enum([...SCHEDULED_CONSUMERS, "pool"]), bytes);

export const phaseRecordSchema = z.object({
  /** PPO steps are counted from 0. */
  step: count,
  work: z.enum(WORKS),
  startSeconds: z.number(),
  endSeconds: z.number(),
  workSeconds: seconds,
  memorySeconds: seconds,
  /** Bytes of the device's capacity that were taken at most; of several devices, what each was taken at most, together. */
  peakBytes: bytes,
  /** Who held them then; `pool` is what the pool kept back. */
  holders: holdersSchema,
  /** The same of each device, where the run has several. */
  devices: z.record(z.string(), z.object({ peakBytes: bytes, holders: holdersSchema })).exactOptional(),
});
export type PhaseRecord = z.infer<typeof phaseRecordSchema>;

/** What one device of a run, or the only one, held at its peak in a phase. */
export function peakOn(
  { peakBytes, holders, devices }: PhaseRecord,
  device: string,
): Pick<PhaseRecord, "peakBytes" | "holders"> {
  return devices === undefined ? { peakBytes, holders } : (devices[device] ?? { peakBytes: 0, holders: {} });
}

export const stepRecordSchema = z.object({
  step: count,
  /** Absent when the schedule does not train the policy. */
  statistics: stepStatisticsSchema.optional(),
  workSeconds: seconds,
  memorySeconds: seconds,
  peakBytes: bytes,
  phases: z.array(phaseRecordSchema),
  /** Some of its rollouts. */
  samples: z.array(rolloutSampleSchema),
});
export type StepRecord = z.infer<typeof stepRecordSchema>;
