/** How files of a checkpoint are refused. */
import type { Source } from "../input/fault.ts";

export const DAMAGED = "The file is damaged or incomplete: download or export it again.";

/** @param hint What to do next, where the fault does not say. */
export function checkpointFile(file: string, hint = DAMAGED): Source {
  return { name: file, code: "checkpoint_invalid", hint };
}
