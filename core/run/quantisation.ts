/** How far int8 weights are from those that they were made of: the same sequences through both. */
import { z } from "zod";

const count = z.number().int().nonnegative();
const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

export const quantisationChangeSchema = z.object({
  quantity: z.enum(["logprobs", "rewards"]),
  compared: count,
  meanAbsolute: z.number().nonnegative(),
  maxAbsolute: z.number().nonnegative(),
});
export type QuantisationChange = z.infer<typeof quantisationChangeSchema>;

export const quantisedRoleSchema = z.object({
  role: z.enum(["reference", "reward"]),
  /** On the device, in the precision of the checkpoint and as int8. */
  floatBytes: bytes,
  int8Bytes: bytes,
  /** What the loop takes from this role: log-probs of tokens, rewards of sequences. */
  changes: z.array(quantisationChangeSchema),
});
export type QuantisedRole = z.infer<typeof quantisedRoleSchema>;

/** Numbers of float weights and of int8 ones, one by one. */
export function changeOf(
  quantity: QuantisationChange["quantity"],
  float: readonly number[],
  int8: readonly number[],
): QuantisationChange {
  const differences = float.map((number, index) => Math.abs(number - (int8[index] ?? Number.NaN)));
  const sum = differences.reduce((total, difference) => total + difference, 0);
  return {
    quantity,
    compared: differences.length,
    meanAbsolute: sum / Math.max(1, differences.length),
    maxAbsolute: differences.reduce((most, difference) => Math.max(most, difference), 0),
  };
}

/** "log-probs change by 0.00607, at most 0.0611" */
export function changeWords({ quantity, meanAbsolute, maxAbsolute }: QuantisationChange): string {
  return `${quantityName(quantity)} change by ${meanAbsolute.toPrecision(3)}, at most ${maxAbsolute.toPrecision(3)}`;
}

/** "log-probs", "rewards". */
export function quantityName(quantity: QuantisationChange["quantity"]): string {
  return quantity === "logprobs" ? "log-probs" : "rewards";
}
