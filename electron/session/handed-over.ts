/** Reads where another process has the weights that it hands over. */
import { resolve } from "node:path";
import { HANDED_OVER_HINT, type HandedOverWeights, parseHandedOver } from "../../core/checkpoint/handed-over.ts";
import { NAMED_FILE, readTextFile } from "./input-file.ts";

/** A tensor takes some 150 bytes. */
const MAX_BYTES = 64 * 2 ** 20;

/** @throws TidelineError `not_found`, or `bad_argument` with file and field. */
export async function readHandedOver(path: string): Promise<HandedOverWeights> {
  const file = resolve(path);
  return parseHandedOver(await readTextFile(file, MAX_BYTES, { ...NAMED_FILE, hint: HANDED_OVER_HINT }), file);
}
