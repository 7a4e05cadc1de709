/** Files of a run that a person names: a workload, a schedule. */
import type { Source } from "../../core/input/fault.ts";
import { NAMED_FILE, readTextFile } from "../session/input-file.ts";

/** What each is, and how one gets one. */
const HINTS = {
  workload: "Give the JSON file of a workload; one to copy from is assets/demo-ppo/workload.json of Tideline.",
  schedule: "Give the JSON file of a schedule; `tideline run --print-schedule` prints one to edit.",
} as const;

/** Real ones have a few KiB. */
const MAX_BYTES = 16 * 2 ** 20;

/**
 * The text of a file.
 * @throws TidelineError `not_found` where there is none, `bad_argument` for what is no text file or may not be read.
 */
export async function readRunFile(file: string, kind: keyof typeof HINTS): Promise<string> {
  return readTextFile(file, MAX_BYTES, { ...NAMED_FILE, hint: HINTS[kind] });
}

/** How a workload is refused; a schedule says so itself (core/schedule/file.ts). */
export function workloadFile(file: string): Source {
  return { name: file, code: "bad_argument", hint: HINTS.workload };
}
