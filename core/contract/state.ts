/** The state of a session: one snapshot says everything a window needs to draw itself; it is pushed whole whenever it changes. */
import { z } from "zod";
import { ERROR_CODES } from "../errors.ts";
import { linkMeasurementSchema } from "../link-measurement.ts";
import { loanSchema } from "../loan.ts";
import { runStateSchema } from "../run/state.ts";
import { bytes, consumerName, contentsSchema, count, residencySchema, roleSchema } from "./vocabulary.ts";

export const consumerStateSchema = z.object({
  consumer: consumerName,
  tag: z.string(),
  residency: residencySchema,
  contents: contentsSchema,
  reservedBytes: bytes,
  committedBytes: bytes,
  usedBytes: bytes,
  backup: z
    .object({ where: z.enum(["host", "disk"]), bytes, clean: z.boolean(), file: z.string().optional() })
    .optional(),
  /** For `shared`: the consumer whose bytes these are. */
  sharedWith: consumerName.optional(),
  /** Lent to other processes at this socket, and how many have it mapped. */
  loan: loanSchema.optional(),
});
export type ConsumerState = z.infer<typeof consumerStateSchema>;

export const deviceStateSchema = z.object({
  name: z.string(),
  description: z.string(),
  /** With what words work is refused since the device was lost. Configuring it again, or another one, is the way out. */
  lost: z.string().optional(),
  capacityBytes: bytes,
  chunkBytes: bytes,
  committedBytes: bytes,
  heldBytes: bytes,
  freeBytes: bytes,
  contextBytes: bytes,
  usedBytes: bytes,
  totalBytes: bytes,
  hostBackupBytes: bytes,
});
export type DeviceState = z.infer<typeof deviceStateSchema>;

/** A device, and who holds what there. */
export const openDeviceSchema = z.object({ device: deviceStateSchema, consumers: z.array(consumerStateSchema) });
export type OpenDevice = z.infer<typeof openDeviceSchema>;

export const deviceChoiceSchema = z.object({
  name: z.string(),
  description: z.string(),
  totalBytes: bytes,
  freeBytes: bytes,
  problem: z.string().optional(),
  /** What `measure_link` found last on this device. */
  link: linkMeasurementSchema.optional(),
});
export type DeviceChoice = z.infer<typeof deviceChoiceSchema>;

export const checkpointSummarySchema = z.object({
  path: z.string(),
  name: z.string(),
  family: z.string(),
  parameters: count,
  dtype: z.string(),
  weightBytes: bytes,
  layers: count,
  hiddenSize: count,
  vocabSize: count,
  maxPositions: count,
  /** Text prompts need one; without it prompts are token ids. */
  hasTokenizer: z.boolean(),
});
export type CheckpointSummary = z.infer<typeof checkpointSummarySchema>;

/** Why the engine cannot generate now, and the command that would change that. */
export const obstacleSchema = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  hint: z.string(),
});
export type Obstacle = z.infer<typeof obstacleSchema>;

export const engineStateSchema = z.discriminatedUnion("status", [
  z.object({ status: z.literal("empty") }),
  z.object({
    status: z.enum(["idle", "running", "paused", "swapping"]),
    checkpoint: checkpointSummarySchema,
    weightsVersion: count,
    /** Another process handed them over: the checkpoint says what model they are, its files hold others. */
    handedOver: z.literal(true).optional(),
    runningRequests: count,
    waitingRequests: count,
    kv: z.object({ blockTokens: count, blocks: count, usedBlocks: count, bytesPerToken: bytes, capacityTokens: count }),
    /** Absent: it can generate. */
    obstacle: obstacleSchema.optional(),
  }),
]);
export type EngineState = z.infer<typeof engineStateSchema>;

/** A model that sits on the device beside the engine, as a source of a swap. */
export const modelStateSchema = z.object({
  role: roleSchema,
  consumer: consumerName,
  checkpoint: checkpointSummarySchema,
});
export type ModelState = z.infer<typeof modelStateSchema>;

export const operationStateSchema = z.object({
  id: count,
  /** "load tiny-llama", "release engine.weights to disk". */
  label: z.string(),
  doneBytes: bytes,
  totalBytes: bytes,
  /** For what is counted in PPO steps, not in bytes. */
  steps: z.object({ done: count, total: count }).optional(),
  cancellable: z.boolean(),
});
export type OperationState = z.infer<typeof operationStateSchema>;

export const recentSchema = z.object({
  path: z.string(),
  name: z.string(),
  parameters: count.optional(),
  available: z.boolean(),
});
export type Recent = z.infer<typeof recentSchema>;

export const sessionStateSchema = z.object({
  /** Version of Tideline that serves this window. */
  version: z.string(),
  backend: z.literal("native"),
  /** The engine's device, and who holds what there. */
  device: deviceStateSchema,
  consumers: z.array(consumerStateSchema),
  /** Those on which a run has roles beside it. */
  otherDevices: z.array(openDeviceSchema),
  /** All that could be chosen. */
  devices: z.array(deviceChoiceSchema),
  engine: engineStateSchema,
  models: z.array(modelStateSchema),
  /** The PPO run that has the device; absent: the engine has it. */
  run: runStateSchema.optional(),
  recents: z.array(recentSchema),
  /** The checkpoint that ships with Tideline. */
  demoCheckpoint: z.string().optional(),
  /** The PPO workload that ships with Tideline. */
  demoWorkload: z.string().optional(),
  operations: z.array(operationStateSchema),
  /** Where sockets of loans go unless a person says otherwise. */
  socketsFolder: z.string(),
  samplingHertz: z.number(),
  droppedSamples: count,
});
export type SessionState = z.infer<typeof sessionStateSchema>;
