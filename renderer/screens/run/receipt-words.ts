/** A receipt as one line: what came free, how long it took, what was copied. */
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import type { Receipt } from "../../../core/contract/vocabulary.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";

export function receiptWords(receipt: Receipt): string {
  const parts: string[] = [];
  if (receipt.bytesFreed > 0) parts.push(`freed ${formatBytes(receipt.bytesFreed)}`);
  if (receipt.bytesRetained > 0) parts.push(`kept ${formatBytes(receipt.bytesRetained)} in the pool`);
  if (receipt.bytesPrepared) parts.push(`took ${formatBytes(receipt.bytesPrepared)} of host memory`);
  if (receipt.bytesCommitted > 0) parts.push(`mapped ${formatBytes(receipt.bytesCommitted)}`);
  if (receipt.action === "swap") parts.unshift(`swapped (${receipt.method})`);
  else if (parts.length === 0) parts.push(verbs[receipt.action]);
  return `${parts.join(", ")} in ${formatSeconds(receipt.milliseconds / 1000)}, ${formatBytes(receipt.bytesCopied)} copied`;
}

/** Of a swap the method is said too, which its label does not have: often it was chosen by the engine. */
const verbs: Readonly<Record<Exclude<Receipt["action"], "swap">, string>> = {
  release: "released",
  resume: "resumed",
  load: "loaded",
  prepare: "prepared",
};

/** What an action did, or why it did not. */
export function outcomeWords(action: ActionRecord): string {
  if (action.error !== undefined) return action.error.message;
  if (action.receipt !== undefined) return receiptWords(action.receipt);
  return `took ${formatSeconds(action.milliseconds / 1000)}`;
}
