/** What strategies with more than two positions can be set to, as both screens offer it. */
import type { StrategySet } from "../../core/schedule/strategies.ts";

/** S4 */
export const PLACES = [
  { value: "resident", label: "Stays" },
  { value: "host", label: "Host" },
  { value: "disk", label: "Disk" },
] as const satisfies readonly { readonly value: StrategySet["reference"]; readonly label: string }[];

/** S3 */
export const METHODS = [
  { value: "bucketed", label: "Bucketed" },
  { value: "copy", label: "Copy" },
  { value: "share", label: "Share" },
] as const satisfies readonly { readonly value: StrategySet["swap"]["method"]; readonly label: string }[];
