/** Asks before an action by hand that the run will miss something for: what it leads to, and what would bring it back. */

import type { ReactNode } from "react";
import { aftermathOf, aftermathWords } from "../../../../core/schedule/by-hand.ts";
import { describeAction } from "../../../../core/schedule/schedule.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { capitalised } from "../../../components/capitalised.ts";
import { Dialog } from "../../../components/dialog.tsx";
import { Words } from "../../../components/words.tsx";
import { lastSecondsOf } from "../../../state/activity.ts";
import { useSession } from "../../../state/session.ts";
import { useDialogRequest } from "../../../state/use-request.ts";
import { useView } from "../../../state/view.ts";

export function ActByHandDialog(): ReactNode {
  const client = useClient();
  const action = useView((view) => view.action);
  const run = useSession((store) => store.session?.run);
  const { busy, error, submit } = useDialogRequest("Act by hand");
  if (action === undefined || run === undefined) return undefined;
  const { schedule, memory, cursor } = run;
  const aftermath = aftermathOf(schedule, memory, cursor.index, action);
  const isLost = aftermath.kind === "lost";
  const words = aftermathWords(aftermath, lastSecondsOf);
  return (
    <Dialog
      title={`${capitalised(describeAction(action))}?`}
      error={error}
      onSubmit={() => void submit(() => client.request("act", { action }))}
      actions={
        <Button kind={isLost ? "danger" : "primary"} type="submit" busy={busy} disabled={busy}>
          {isLost ? "Do it and lose that" : "Do it"}
        </Button>
      }
    >
      <p className="aftermath" data-kind={aftermath.kind}>
        <Words text={`${capitalised(words)}.`} />
      </p>
    </Dialog>
  );
}
