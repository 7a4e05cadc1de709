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

export const phaseRecordSchema = z.object({
  /** PPO steps are counted from 0. */
  step: count,
  work: z.enum(WORKS),
  startSeconds: z.number(),
  endSeconds: z.number(),
  workSeconds: seconds,
  memorySeconds: seconds,
  /** Bytes of the device's capacity that were taken at most. */
  peakBytes: bytes,
  /** Who held them then; `pool` is what the pool kept back. */
  holders: z.partialRecord(z.enum([...SCHEDULED_CONSUMERS, "pool"]), bytes),
});
export type PhaseRecord = z.infer<typeof phaseRecordSchema>;

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
