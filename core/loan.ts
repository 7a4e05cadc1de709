/** Weights that are lent to other processes (docs/share-weights.md), and how that is told. */
import { z } from "zod";

export const loanSchema = z.object({
  /** Of the Unix socket at which a process asks for it. */
  path: z.string(),
  /** How many processes have it mapped. */
  borrowers: z.number().int().nonnegative(),
});
export type Loan = z.infer<typeof loanSchema>;

export function mappedBy({ borrowers }: Pick<Loan, "borrowers">): string {
  return `mapped by ${borrowers} process${borrowers === 1 ? "" : "es"}`;
}
