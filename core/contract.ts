/**
 * The contract between the session (main process) and any window: every command, answer and event, as zod schemas that
 * both sides check. Both doors (Electron IPC, the browser host's WebSocket) carry exactly these messages, so neither
 * the renderer nor the session knows which one is in use.
 */
import { z } from "zod";
import { ENGINE_TAGS, RESIDENCIES, ROLES } from "./consumers.ts";
import { ERROR_CODES, errorDataSchema } from "./errors.ts";
import { linkMeasurementSchema } from "./link-measurement.ts";
import { phaseSpanSchema } from "./run/ended-runs.ts";
import { deviceCapacitiesSchema, deviceNameSchema, placementSchema } from "./run/placement.ts";
import { stepRecordSchema } from "./run/records.ts";
import { runStateSchema, workloadSummarySchema } from "./run/state.ts";
import { breakpointSchema, goalSchema } from "./schedule/cursor.ts";
import { actionSchema, scheduleSchema } from "./schedule/schedule.ts";
import { strategySetSchema } from "./schedule/strategies.ts";

// ---------------------------------------------------------------------------------------------------------------------
// Vocabulary

const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const count = z.number().int().nonnegative();
const milliseconds = z.number().nonnegative();
/** Unix time in seconds, with fractions. */
const timeSeconds = z.number();
const consumerName = z.string().min(1).max(64);
const path = z.string().min(1).max(4096);

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

// ---------------------------------------------------------------------------------------------------------------------
// State: one snapshot says everything a window needs to draw itself; it is pushed whole whenever it changes.

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
});
export type ConsumerState = z.infer<typeof consumerStateSchema>;

export const deviceStateSchema = z.object({
  name: z.string(),
  description: z.string(),
  /** What the driver said when the device was lost. Configuring it again, or another one, is the way out. */
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
  samplingHertz: z.number(),
  droppedSamples: count,
});
export type SessionState = z.infer<typeof sessionStateSchema>;

// ---------------------------------------------------------------------------------------------------------------------
// Timeline: samples, actions, generations

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
  kind: z.enum(["release", "resume", "load", "unload", "swap", "prepare", "pause", "continue", "configure"]),
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

// ---------------------------------------------------------------------------------------------------------------------
// Commands

const none = z.object({}).strict();

export const promptSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("text"), text: z.string().min(1).max(1_000_000) }),
  z.object({ kind: z.literal("ids"), ids: z.array(z.number().int().nonnegative()).min(1).max(1_000_000) }),
]);
export type Prompt = z.infer<typeof promptSchema>;

/** What a consumer's memory action needs: engine tags and models go through the same command. */
const releaseRequest = z
  .object({
    consumer: consumerName,
    mode: releaseModeSchema,
    destination: releaseDestinationSchema.default("return"),
  })
  .strict();

export const swapSourceSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("checkpoint"), path }),
  z.object({ kind: z.literal("model"), role: roleSchema }),
]);
export type SwapSource = z.infer<typeof swapSourceSchema>;

/** Checkpoint folders of a run instead of the workload's own; critic and reference follow another policy unless given. */
const roleFoldersSchema = z
  .object({ policy: path.optional(), critic: path.optional(), reference: path.optional(), reward: path.optional() })
  .strict();
export type RoleFolders = z.infer<typeof roleFoldersSchema>;

/** name -> [request, answer]. The only place a command is declared. */
export const commands = {
  /** The whole state; a window's first question. */
  observe: { request: none, answer: sessionStateSchema },
  /** Samples kept by the session, for a window that opened late or reloaded; newest `maxRows` since `sinceSeconds`. */
  history: {
    request: z.object({ sinceSeconds: timeSeconds, maxRows: count.max(1_000_000) }).strict(),
    answer: z.object({
      batches: z.array(sampleBatchSchema),
      actions: z.array(actionRecordSchema),
      generations: z.array(generationStateSchema),
      /** Of the run that is open. */
      steps: z.array(stepRecordSchema),
      /** Phases of runs that have ended, run by run. */
      endedRuns: z.array(z.array(phaseSpanSchema)),
    }),
  },
  /** Closes the engine and opens another device, capacity or KV cache size; the checkpoint is loaded again. */
  configure: {
    request: z
      .object({
        device: z.string().max(32).optional(),
        capacityBytes: bytes.optional(),
        kvCacheBytes: bytes.optional(),
        samplingHertz: z.number().min(10).max(1000).optional(),
      })
      .strict(),
    answer: sessionStateSchema,
  },
  /** Measures the session's device: its memory, and its link to the host. Refused (`busy`) while something runs there. */
  measure_link: { request: none, answer: linkMeasurementSchema },
  /** Opens a checkpoint in the engine. The model loaded before stays when this fails. */
  open_checkpoint: { request: z.object({ path }).strict(), answer: receiptSchema },
  /** Loads a second model onto the device beside the engine. */
  load_model: { request: z.object({ path, role: roleSchema }).strict(), answer: receiptSchema },
  unload_model: { request: z.object({ role: roleSchema }).strict(), answer: none },
  release: { request: releaseRequest, answer: receiptSchema },
  resume: { request: z.object({ consumer: consumerName }).strict(), answer: receiptSchema },
  swap: {
    request: z
      .object({
        source: swapSourceSchema,
        method: swapMethodSchema.default("auto"),
        /** For `bucketed`; the engine's own when left out (native/addon.d.ts). */
        bucketBytes: bytes.optional(),
        running: runningPolicySchema.default("refuse"),
      })
      .strict(),
    answer: receiptSchema,
  },
  /** Gives chunks that the pool holds back to the device. */
  trim: { request: none, answer: z.object({ bytesFreed: bytes }) },
  generate: {
    request: z
      .object({
        prompt: promptSchema,
        /** The same prompt this many times, decoded as one batch. */
        batch: count.min(1).max(256).default(1),
        maxNewTokens: count.min(1).max(1_000_000),
        sampling: samplingSchema,
        /** Goes on where the model would end, for rollouts of an exact length (other engines: `ignore_eos`). */
        pastEndOfText: z.boolean().default(false),
      })
      .strict(),
    answer: z.object({ generation: count }),
  },
  cancel_generation: { request: z.object({ generation: count }).strict(), answer: none },
  pause: { request: z.object({ mode: pauseModeSchema }).strict(), answer: none },
  continue: { request: none, answer: none },
  /** Cancels a long operation of SessionState.operations. */
  cancel_operation: { request: z.object({ id: count }).strict(), answer: none },
  /** Writes the engine's weights as a Hugging Face folder. */
  save_checkpoint: { request: z.object({ path }).strict(), answer: z.object({ path, bytes }) },
  /** Folders for the path picker of the browser door. */
  list_folder: {
    request: z.object({ path: z.string().max(4096) }).strict(),
    answer: z.object({
      path: z.string(),
      parent: z.string().optional(),
      folders: z.array(z.object({ name: z.string(), path: z.string(), isCheckpoint: z.boolean() })),
    }),
  },
  /** What a workload file would run; the one that ships with Tideline when none is given. */
  read_workload: {
    request: z.object({ path: path.optional(), checkpoints: roleFoldersSchema.optional() }).strict(),
    answer: workloadSummarySchema,
  },
  /** Gives the device to a PPO run, which stands before its first item. The engine is closed until the run is. */
  open_run: {
    request: z
      .object({
        /** A workload file; left out, the one that ships with Tideline. */
        workload: path.optional(),
        schedule: z.discriminatedUnion("kind", [
          z.object({ kind: z.literal("strategies"), strategies: strategySetSchema }),
          z.object({ kind: z.literal("schedule"), schedule: scheduleSchema }),
        ]),
        /** Instead of the workload's own. */
        capacityBytes: bytes.optional(),
        deviceCapacities: deviceCapacitiesSchema.optional(),
        /** Engine and roles that lie elsewhere than on the session's device. */
        placement: placementSchema.optional(),
        seed: count.optional(),
        checkpoints: roleFoldersSchema.optional(),
      })
      .strict(),
    answer: runStateSchema,
  },
  /** Ends the run and gives the device back to the engine, with the checkpoint that was open. */
  close_run: { request: none, answer: none },
  /** Goes on; answers at once, and the state says how far it has come. */
  go: { request: z.object({ goal: goalSchema }).strict(), answer: none },
  /** Tries the failed item again. */
  retry: { request: none, answer: none },
  /** Stops at the next boundary between two items. */
  pause_run: { request: none, answer: none },
  /** Stops the item under way. */
  cancel_run: { request: none, answer: none },
  set_breakpoints: { request: z.object({ breakpoints: z.array(breakpointSchema).max(100) }).strict(), answer: none },
  set_pace: { request: z.object({ itemSeconds: z.number().min(0).max(10) }).strict(), answer: none },
  /** Does a schedule's action by hand between two items: core/schedule `consequenceOf` says beforehand what it leads to. */
  act: { request: z.object({ action: actionSchema }).strict(), answer: none },
  /** Takes back the last action that was done by hand since the last item. */
  undo: { request: none, answer: none },
  /** Runs the workload without strategies beside this run, for as many steps as this one has completed, at most `maxSteps`. */
  measure_baseline: { request: z.object({ maxSteps: count.min(1).max(100).default(3) }).strict(), answer: none },
  forget_recent: { request: z.object({ path }).strict(), answer: none },
} as const satisfies Record<string, { request: z.ZodType; answer: z.ZodType }>;

export type CommandName = keyof typeof commands;
export type CommandInput<Name extends CommandName> = z.input<(typeof commands)[Name]["request"]>;
export type CommandRequest<Name extends CommandName> = z.output<(typeof commands)[Name]["request"]>;
export type CommandAnswer<Name extends CommandName> = z.output<(typeof commands)[Name]["answer"]>;

export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}

// ---------------------------------------------------------------------------------------------------------------------
// Events and envelopes

export const eventSchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("state"), state: sessionStateSchema }),
  z.object({ event: z.literal("samples"), batch: sampleBatchSchema }),
  z.object({ event: z.literal("action"), action: actionRecordSchema }),
  /** The whole generation, at most ~20 times a second while it runs. */
  z.object({ event: z.literal("generation"), generation: generationStateSchema }),
  /** A PPO step is complete, of the run with this number. */
  z.object({ event: z.literal("step"), run: count, step: stepRecordSchema }),
]);
export type SessionEvent = z.infer<typeof eventSchema>;

export const requestEnvelopeSchema = z.object({ id: count, command: z.string().max(64), params: z.unknown() }).strict();
export type RequestEnvelope = z.infer<typeof requestEnvelopeSchema>;

export const answerEnvelopeSchema = z.discriminatedUnion("ok", [
  z.object({ id: count, ok: z.literal(true), value: z.unknown() }),
  z.object({ id: count, ok: z.literal(false), error: errorDataSchema }),
]);
export type AnswerEnvelope = z.infer<typeof answerEnvelopeSchema>;

/** What a door gives the renderer as `window.tideline`: messages, and the few things only a desktop can do. */
export interface Door {
  readonly kind: "electron" | "browser";
  /** Sends one request envelope and resolves with its answer envelope. */
  send(request: RequestEnvelope): Promise<unknown>;
  /** Events until the returned function is called. */
  subscribe(listener: (event: unknown) => void): () => void;
  /** Whether the session can be reached; a door that reconnects says so here. */
  onConnection(listener: (connected: boolean) => void): () => void;
  /** The operating system's folder dialog; absent in a browser. */
  pickFolder?(): Promise<string | undefined>;
  /** The path of a dropped file or folder; absent in a browser, which does not know it. */
  pathOf?(file: File): string;
  /** Ids of renderer commands chosen in the application's menu, until the returned function is called; absent in a browser. */
  onMenuCommand?(listener: (commandId: string) => void): () => void;
}
