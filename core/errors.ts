/**
 * Every way Tideline says no. One list for the addon, the session, both doors and the screen: an error crosses each
 * border as data (`TidelineErrorData`), keeps its code, and carries a hint that says what to do next.
 */
import { z } from "zod";

export const ERROR_CODES = [
  // memory states (native/memory): the operation was refused and nothing changed
  "already_released",
  "already_resident",
  "not_resident",
  "contents_undefined",
  "not_clean",
  "busy",
  "shared",
  // memory faults: rolled back
  "out_of_memory",
  "backup_missing",
  "backup_corrupt",
  "backup_io",
  // checkpoints and weights
  "checkpoint_unreadable",
  "checkpoint_unwritable",
  "checkpoint_invalid",
  "model_unsupported",
  "weights_mismatch",
  // schedules
  "schedule_invalid",
  // plans
  "plan_invalid",
  /** A plan's line of text was cut or changed on its way. */
  "plan_damaged",
  // generation
  "no_model",
  "context_overflow",
  "kv_cache_too_small",
  "not_found",
  // training
  /** A loss, a gradient or an input holds a NaN or an infinity: nothing was updated; `tensor` names the first. */
  "not_finite",
  // devices
  "device_unavailable",
  "device_lost",
  "unsupported",
  // callers
  "bad_argument",
  "bad_message",
  "unknown_command",
  /** The window cannot reach the session; its own doors say this, the session never does. */
  "session_lost",
  "cancelled",
  "internal",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Who holds memory, as an out-of-memory error reports it. */
export const holderSchema = z.object({ consumer: z.string(), bytes: z.number() });
export type Holder = z.infer<typeof holderSchema>;

export const errorDataSchema = z.object({
  code: z.enum(ERROR_CODES),
  /** What happened, with the names and numbers of this case. */
  message: z.string(),
  /** What to do next. */
  hint: z.string().optional(),
  /** For `out_of_memory`. */
  requestedBytes: z.number().optional(),
  freeBytes: z.number().optional(),
  capacityBytes: z.number().optional(),
  holders: z.array(holderSchema).optional(),
  /** For checkpoint and weights errors. */
  file: z.string().optional(),
  field: z.string().optional(),
  tensor: z.string().optional(),
});
export type TidelineErrorData = z.infer<typeof errorDataSchema>;

/** The one error class of the TypeScript side. Throw it with a hint whenever the person can do something about it. */
export class TidelineError extends Error {
  override readonly name = "TidelineError";
  readonly data: TidelineErrorData;

  constructor(data: TidelineErrorData, options?: ErrorOptions) {
    super(data.message, options);
    this.data = data;
  }

  get code(): ErrorCode {
    return this.data.code;
  }

  get hint(): string | undefined {
    return this.data.hint;
  }
}

/**
 * Any thrown value as error data. Errors of the addon carry `code` and their details as own properties; what carries
 * no known code becomes `internal` with its message kept.
 */
export function toErrorData(thrown: unknown): TidelineErrorData {
  if (thrown instanceof TidelineError) return thrown.data;
  if (thrown instanceof Error) {
    const parsed = errorDataSchema.safeParse({ ...thrown, message: thrown.message });
    return parsed.success ? parsed.data : { code: "internal", message: thrown.message };
  }
  return { code: "internal", message: String(thrown) };
}

/** For the `default` of a switch over a union: a case added later fails to compile here. */
export function assertNever(value: never): never {
  throw new TidelineError({ code: "internal", message: `unhandled case: ${JSON.stringify(value)}` });
}
