/** What a window asks of the session: every command, with its request and its answer. */
import { z } from "zod";
import { linkMeasurementSchema } from "../link-measurement.ts";
import { phaseSpanSchema } from "../run/ended-runs.ts";
import { deviceCapacitiesSchema, placementSchema } from "../run/placement.ts";
import { stepRecordSchema } from "../run/records.ts";
import { runStateSchema, workloadSummarySchema } from "../run/state.ts";
import { breakpointSchema, goalSchema } from "../schedule/cursor.ts";
import { actionSchema, scheduleSchema } from "../schedule/schedule.ts";
import { strategySetSchema } from "../schedule/strategies.ts";
import { sessionStateSchema } from "./state.ts";
import { actionRecordSchema, generationStateSchema, sampleBatchSchema } from "./timeline.ts";
import {
  bytes,
  consumerName,
  count,
  path,
  pauseModeSchema,
  receiptSchema,
  releaseDestinationSchema,
  releaseModeSchema,
  roleSchema,
  runningPolicySchema,
  samplingSchema,
  swapMethodSchema,
  timeSeconds,
} from "./vocabulary.ts";

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
  /** The file in which another process says where its weights lie on this GPU (docs/share-weights.md). */
  z.object({ kind: z.literal("process"), path }),
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
  /**
   * Lends weights on a GPU to processes of this user, at a Unix socket (docs/share-weights.md), until the loan ends or the weights
   * leave the device. While a process has them mapped, what would take them away is refused (`shared`).
   */
  lend: { request: z.object({ consumer: consumerName, path }).strict(), answer: z.object({ path }) },
  /** Whoever has them mapped is cut off, and keeps what it mapped until it unmaps it. */
  end_loan: { request: z.object({ consumer: consumerName }).strict(), answer: none },
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
