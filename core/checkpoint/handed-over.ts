/** The file in which another process says where its weights lie on a GPU (docs/share-weights.md). */
import { z } from "zod";
import { refusal } from "../input/fault.ts";
import { parseJson } from "../input/json.ts";
import { parseWith } from "../input/schema-fault.ts";

export const HANDED_OVER_HINT =
  "Give the file that the trainer wrote: assets/examples/hand_over_weights.py shows how to write one.";

const whole = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const word = z.string().min(1).max(512);

/** As native/addon.d.ts has it; what depends on the GPU and on the engine's own weights is checked there. */
const handedOverSchema = z.object({
  device: z.object({ uuid: word }),
  allocations: z.array(z.string().regex(/^[0-9a-f]{128}$/i, "must be 64 bytes as hex digits")).min(1),
  tensors: z
    .array(
      z.object({
        name: word,
        dtype: word,
        shape: z.array(whole).max(8),
        allocation: whole,
        offset: whole,
        bytes: whole,
      }),
    )
    .min(1),
});
export type HandedOverWeights = z.infer<typeof handedOverSchema>;

/** @throws TidelineError `bad_argument` with file and field. */
export function parseHandedOver(text: string, file: string): HandedOverWeights {
  const source = { name: file, code: "bad_argument", hint: HANDED_OVER_HINT } as const;
  return parseWith(handedOverSchema, parseJson(text, source), (fault) => refusal(source, fault));
}
