/** Checkpoint folders of one's own for the roles: the same loop on any model of the families. */
import { type ReactNode, useState } from "react";
import type { RoleFolders as Folders } from "../../../../../core/contract/commands.ts";
import type { WorkloadSummary } from "../../../../../core/run/state.ts";
import { FolderPicker } from "../folder-browser.tsx";

const LABELS: Readonly<Record<keyof Folders, string>> = {
  policy: "Policy",
  critic: "Critic",
  reference: "Reference",
  reward: "Reward model",
};
const ROLES = ["policy", "critic", "reference", "reward"] as const satisfies readonly (keyof Folders)[];

export function RoleFolders(props: {
  readonly folders: Folders;
  readonly workload: WorkloadSummary | undefined;
  readonly onFolders: (folders: Folders) => void;
}): ReactNode {
  const { folders, workload, onFolders } = props;
  // Only at first: it does not close because somebody clears a field.
  const [isOpen] = useState(() => ROLES.some((role) => (folders[role] ?? "") !== ""));
  return (
    <details className="role-folders" open={isOpen}>
      <summary>Other checkpoints</summary>
      <p>
        Critic and reference follow another policy unless they are given too. All roles have to share one tokenizer.
      </p>
      {ROLES.map((role) => (
        <FolderPicker
          key={role}
          label={LABELS[role]}
          path={folders[role] ?? ""}
          placeholder={workload?.checkpoints[role] ?? (role === "reward" ? "the task's rule, no model" : "")}
          onPath={(path) => onFolders({ ...folders, [role]: path })}
        />
      ))}
    </details>
  );
}
