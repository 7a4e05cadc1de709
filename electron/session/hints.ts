/**
 * What to do next, for errors that come without it: the addon knows what happened, the session knows which command
 * helps.
 */
import type { ErrorCode, TidelineErrorData } from "../../core/errors.ts";

const HINTS: Partial<Record<ErrorCode, string>> = {
  already_released: "There is nothing to release; resume it first.",
  already_resident: "It is on the device already.",
  not_resident: "Resume it first.",
  contents_undefined: "Write the contents again: swap in a checkpoint, or open one.",
  not_clean: "It changed since its last backup: release it with a backup to host memory or disk instead.",
  busy: "Wait until it is done, or cancel it.",
  shared: "Another consumer uses these bytes: swap the engine to weights of its own first.",
  out_of_memory: "Release a consumer that is not needed now, or raise the capacity.",
  backup_missing: "The contents are lost: swap in a checkpoint, or open one.",
  backup_corrupt: "The backup cannot be trusted: swap in a checkpoint, or open one.",
  backup_io: "Check the free space and the permissions of the backup folder.",
  no_model: "Open a checkpoint.",
  context_overflow: "Shorten the prompt, or ask for fewer new tokens.",
  kv_cache_too_small: "Make the KV cache larger, or ask for fewer tokens or a smaller batch.",
  weights_mismatch: "Swap in weights of the same model, or open the folder as a new checkpoint.",
  device_unavailable: "Choose another device; `npm run doctor` says what is missing for this one.",
  device_lost: "Choose the device again, or another one; if it still does not answer, start Tideline again.",
};

/** The error with a hint, its own where it has one. */
export function withHint(error: TidelineErrorData): TidelineErrorData {
  const hint = error.hint ?? HINTS[error.code];
  return hint === undefined ? error : { ...error, hint };
}
