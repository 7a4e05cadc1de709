/** The breakpoints that no line of the schedule stands for, and all that are set. */
import { Popover } from "@base-ui/react/popover";
import { CircleDot, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { toErrorData } from "../../../../core/errors.ts";
import { capacityOf } from "../../../../core/run/placement.ts";
import type { RunState } from "../../../../core/run/state.ts";
import type { Breakpoint } from "../../../../core/schedule/cursor.ts";
import { formatBytes, parseBytes } from "../../../../core/units.ts";
import { useClient } from "../../../commands/use-commands.tsx";
import { Button } from "../../../components/button.tsx";
import { CheckField, TextField } from "../../../components/field.tsx";
import { notifyError } from "../../../state/notices.ts";
import { hasBreakpoint, thresholdOf, toggled, withThreshold } from "./breakpoints.ts";
import { breakpointWords } from "./run-words.ts";
import "./breakpoint-menu.css";

const OUT_OF_MEMORY: Breakpoint = { kind: "out_of_memory" };

export function BreakpointMenu({ run }: { readonly run: RunState }): ReactNode {
  const client = useClient();
  const { breakpoints } = run.cursor;
  const set = (next: readonly Breakpoint[]): void => {
    client
      .request("set_breakpoints", { breakpoints: [...next] })
      .catch((error: unknown) => notifyError("Set breakpoints", toErrorData(error)));
  };
  return (
    <Popover.Root>
      <Popover.Trigger
        render={
          <Button kind="quiet" icon={CircleDot}>
            {breakpoints.length === 0
              ? "Breakpoints"
              : breakpoints.length === 1
                ? "1 breakpoint"
                : `${breakpoints.length} breakpoints`}
          </Button>
        }
      />
      <Popover.Portal>
        <Popover.Positioner align="end" sideOffset={4} collisionPadding={8} className="popup-positioner">
          <Popover.Popup className="breakpoint-menu" role="dialog">
            <Popover.Title className="breakpoint-menu-title">Breakpoints</Popover.Title>
            <p className="breakpoint-menu-hint">
              Before a phase or an action: click left of it in the schedule. The run pauses between two items.
            </p>
            <Threshold
              key={thresholdOf(breakpoints)}
              usedBytes={thresholdOf(breakpoints)}
              capacityBytes={capacityOf(run.devices)}
              onThreshold={(usedBytes) => set(withThreshold(breakpoints, usedBytes))}
            />
            <CheckField
              label="Out of memory"
              title="It stops the run in any case; the breakpoint says that it was waited for"
              checked={hasBreakpoint(breakpoints, OUT_OF_MEMORY)}
              onChecked={() => set(toggled(breakpoints, OUT_OF_MEMORY))}
            />
            {breakpoints.length > 0 && (
              <ul className="breakpoint-list">
                {breakpoints.map((breakpoint) => (
                  <li key={JSON.stringify(breakpoint)}>
                    <span>{breakpointWords(breakpoint)}</span>
                    <Button
                      kind="quiet"
                      icon={X}
                      className="button-icon"
                      aria-label={`Clear: ${breakpointWords(breakpoint)}`}
                      onClick={() => set(toggled(breakpoints, breakpoint))}
                    />
                  </li>
                ))}
              </ul>
            )}
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

/** Pauses when memory rises to this; empty: nowhere. */
function Threshold(props: {
  readonly usedBytes: number | undefined;
  readonly capacityBytes: number;
  readonly onThreshold: (usedBytes: number | undefined) => void;
}): ReactNode {
  const { usedBytes, capacityBytes, onThreshold } = props;
  const [text, setText] = useState(usedBytes === undefined ? "" : formatBytes(usedBytes));
  const parsed = bytesOf(text);
  const isChanged = parsed.ok && parsed.bytes !== usedBytes;
  const submit = () => parsed.ok && onThreshold(parsed.bytes);
  return (
    <form
      className="breakpoint-threshold"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <TextField
        label="Memory rises to"
        className="figures"
        placeholder={formatBytes(0.9 * capacityBytes)}
        value={text}
        problem={parsed.ok ? undefined : parsed.problem}
        onChange={({ target }) => setText(target.value)}
      />
      <Button type="submit" disabled={!isChanged}>
        Set
      </Button>
    </form>
  );
}

type ParsedBytes =
  | { readonly ok: true; readonly bytes: number | undefined }
  | { readonly ok: false; readonly problem: string };

function bytesOf(text: string): ParsedBytes {
  if (text.trim() === "") return { ok: true, bytes: undefined };
  try {
    return { ok: true, bytes: parseBytes(text) };
  } catch (error) {
    return { ok: false, problem: toErrorData(error).message };
  }
}
