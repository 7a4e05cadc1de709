/** How far int8 weights are from those that they were made of: the same sequences through both. */

export interface QuantisedRole {
  readonly role: "reference" | "reward";
  /** On the device, in the precision of the checkpoint and as int8. */
  readonly floatBytes: number;
  readonly int8Bytes: number;
  /** What the loop takes from this role: log-probs of tokens, rewards of sequences. */
  readonly changes: readonly QuantisationChange[];
}

export interface QuantisationChange {
  readonly quantity: "logprobs" | "rewards";
  readonly compared: number;
  readonly meanAbsolute: number;
  readonly maxAbsolute: number;
}

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

/** "log-probs", "rewards". */
export function quantityName(quantity: QuantisationChange["quantity"]): string {
  return quantity === "logprobs" ? "log-probs" : "rewards";
}
