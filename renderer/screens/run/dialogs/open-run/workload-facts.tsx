/** What a workload would run: task, sizes, and every role with its precision and folder. */
import type { ReactNode } from "react";
import type { WorkloadSummary } from "../../../../../core/run/state.ts";
import { formatBytes } from "../../../../../core/units.ts";

const ROLES = ["policy", "critic", "reference", "reward"] as const;

export function WorkloadFacts({ workload }: { readonly workload: WorkloadSummary }): ReactNode {
  const { rollouts, maxNewTokens, sequenceTokens, microBatch, kvCacheBytes, roles, checkpoints } = workload;
  return (
    <div className="workload-facts figures">
      <p className="workload-task">
        <b>{workload.task}</b> · {rollouts} rollouts of up to {maxNewTokens} new tokens, sequences of {sequenceTokens}{" "}
        tokens, micro-batch {microBatch}, {formatBytes(kvCacheBytes)} of KV cache
      </p>
      <dl>
        {ROLES.map((role) => (
          <div key={role}>
            <dt>{role}</dt>
            <dd title={checkpoints[role]}>
              {roles[role] === "rule" ? "a rule, no model" : `${roles[role]} · ${folderName(checkpoints[role])}/`}
            </dd>
          </div>
        ))}
        <div>
          <dt>engine</dt>
          <dd>{roles.engine} · the policy's weights</dd>
        </div>
      </dl>
    </div>
  );
}

function folderName(path: string | undefined): string {
  return path?.split("/").findLast((part) => part !== "") ?? "";
}
