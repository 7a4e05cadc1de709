/**
 * What can be changed in a plan that does not fit. An edit that a plan has already, or that its placement does not allow, is
 * not offered.
 */
import type { Plan } from "../plan.ts";
import type { Edit } from "./edit.ts";
import { placementEdits } from "./placement-edits.ts";
import { workloadEdits } from "./workload-edits.ts";

export function editsOf(plan: Plan): readonly Edit[] {
  return [...workloadEdits(plan), ...placementEdits(plan)].filter(({ steps }) => steps.length > 0);
}
