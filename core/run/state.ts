/** What a window sees of the PPO run that has the device: one snapshot, part of the session's state. */
import { z } from "zod";
import { errorDataSchema } from "../errors.ts";
import { planSchema } from "../planner/plan.ts";
import { cursorSchema } from "../schedule/cursor.ts";
import { memoryStateSchema } from "../schedule/residency.ts";
import { rolesSchema, scheduleSchema } from "../schedule/schedule.ts";
import { deviceCapacitiesSchema, placedDeviceSchema, placementSchema } from "./placement.ts";
import { quantisedRoleSchema } from "./quantisation.ts";
import { phaseRecordSchema } from "./records.ts";

const count = z.number().int().nonnegative();
const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const seconds = z.number().nonnegative();

/** A workload file as a person chooses it: what would be run, and in which precision every role lies on the device. */
export const workloadSummarySchema = z.object({
  /** The file. */
  path: z.string(),
  name: z.string(),
  task: z.string(),
  rollouts: count,
  maxNewTokens: count,
  sequenceTokens: count,
  microBatch: count,
  seed: count,
  /** Of each device that `deviceCapacities` does not name. */
  capacityBytes: bytes,
  deviceCapacities: deviceCapacitiesSchema.optional(),
  /** As the file has it, or whoever chose otherwise. */
  placement: placementSchema.optional(),
  kvCacheBytes: bytes,
  roles: rolesSchema,
  /** Folders. */
  checkpoints: z.object({
    policy: z.string(),
    critic: z.string(),
    reference: z.string(),
    reward: z.string().optional(),
  }),
  /** The same for the planner, without strategies; absent for one that no plan can say. */
  plan: planSchema.optional(),
});
export type WorkloadSummary = z.infer<typeof workloadSummarySchema>;

/** Measured, never predicted: what a schedule took and cost. */
export const measurementSchema = z.object({
  /** Completed steps. */
  steps: count,
  /** Of several devices, what each was taken at most, together. */
  peakBytes: bytes,
  /** Of each device, where the run has several. */
  devicePeakBytes: z.record(z.string(), bytes).exactOptional(),
  /** Means over the completed steps. */
  stepSeconds: seconds,
  memorySeconds: seconds,
  /** What stopped it. */
  failure: errorDataSchema.optional(),
});
export type Measurement = z.infer<typeof measurementSchema>;

/** How far each could grow alone within the capacity, by the measured peaks of the phases that hold it. */
export const largestFitSchema = z.object({ kvCacheBytes: bytes, kvCacheTokens: count, microBatch: count });
export type LargestFit = z.infer<typeof largestFitSchema>;

export const savingsSchema = z.object({
  /** This run. */
  own: measurementSchema,
  /** Absent until a second step is complete: the first takes much of its memory only at its first use. */
  ownLargest: largestFitSchema.optional(),
  /** The same workload with no strategy, run beside this one on request, without a limit of memory. */
  baseline: measurementSchema.optional(),
  baselineLargest: largestFitSchema.optional(),
});
export type Savings = z.infer<typeof savingsSchema>;

export const runStateSchema = z.object({
  /** Another number is another run: what a window remembers of the one before is not of this one. */
  id: count,
  workload: workloadSummarySchema,
  /** The engine's first. */
  devices: z.array(placedDeviceSchema),
  schedule: scheduleSchema,
  cursor: cursorSchema,
  /** Since when the item at the cursor is being done. */
  itemStartedSeconds: z.number().optional(),
  /** Where every consumer is by the rules of the schedule. */
  memory: memoryStateSchema,
  /** Phases of the step under way, the last one open. */
  phases: z.array(phaseRecordSchema),
  /** Each item takes at least this long while playing, for eyes to follow. 0: as fast as it goes. */
  itemSeconds: seconds,
  /** The action by hand that `undo` would take back. */
  undo: z.object({ label: z.string() }).optional(),
  savings: savingsSchema,
  /** What int8 weights change of what this run scores; measured before it began, one per quantised role. */
  quantisation: z.array(quantisedRoleSchema),
});
export type RunState = z.infer<typeof runStateSchema>;
