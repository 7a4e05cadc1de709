/** A dialog's request: whether it is under way, and what went wrong, beside the fields that caused it. */
import { useCallback, useEffect, useRef, useState } from "react";
import { type TidelineErrorData, toErrorData } from "../../core/errors.ts";
import { notifyError } from "./notices.ts";
import { closeDialog } from "./view.ts";

interface RequestState {
  readonly busy: boolean;
  readonly error: TidelineErrorData | undefined;
  /**
   * Does `work` and closes the dialog; stays open with the error when it fails. A dialog that was closed meanwhile does
   * not stop the work: its failure becomes a notice.
   */
  readonly submit: (work: () => Promise<unknown>) => Promise<void>;
}

export function useDialogRequest(title: string): RequestState {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<TidelineErrorData>();
  const open = useRef(true);
  useEffect(() => {
    open.current = true;
    return () => {
      open.current = false;
    };
  }, []);

  const submit = useCallback(
    async (work: () => Promise<unknown>) => {
      setBusy(true);
      setError(undefined);
      try {
        await work();
        if (open.current) closeDialog();
      } catch (thrown) {
        if (open.current) setError(toErrorData(thrown));
        else notifyError(title, toErrorData(thrown));
      } finally {
        setBusy(false);
      }
    },
    [title],
  );
  return { busy, error, submit };
}
