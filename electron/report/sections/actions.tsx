/** The memory actions of the step that the picture shows: what each of them freed and copied, and how fast. */
import type { ReactNode } from "react";
import type { ReportAction, ShownStep } from "../../../core/report/report.ts";
import { formatBandwidth, formatBytes, formatSeconds } from "../../../core/units.ts";
import { Section, Table, workName } from "./section.tsx";

export function Actions({ shown }: { readonly shown: ShownStep }): ReactNode {
  const { step, actions } = shown;
  if (actions.length === 0) return undefined;
  const sum = (of: (action: ReportAction) => number) => actions.reduce((total, action) => total + of(action), 0);
  return (
    <Section
      id="actions"
      title={`Memory actions of step ${step + 1}`}
      about="Freed: given back to the device. Taken: newly mapped. Speed: bytes copied by the time of the whole action."
    >
      <Table
        caption={`Memory actions of step ${step + 1}`}
        columns={[
          { name: "Action" },
          { name: "Phase" },
          { name: "Freed", isNumber: true },
          { name: "Taken", isNumber: true },
          { name: "Copied", isNumber: true },
          { name: "Time", isNumber: true },
          { name: "Speed", isNumber: true },
        ]}
        rows={actions.map((action) => {
          const { label, work, origin, receipt, milliseconds, error } = action;
          return [
            <Label key="label" label={label} origin={origin} failed={error !== undefined} />,
            workName(work),
            bytesText(receipt?.bytesFreed),
            bytesText(receipt?.bytesCommitted),
            bytesText(receipt?.bytesCopied),
            receipt === undefined && error === undefined ? "nothing to do" : formatSeconds(milliseconds / 1000),
            speedText(receipt?.bytesCopied, milliseconds),
          ];
        })}
        total={[
          "Together",
          "",
          bytesText(sum(({ receipt }) => receipt?.bytesFreed ?? 0)),
          bytesText(sum(({ receipt }) => receipt?.bytesCommitted ?? 0)),
          bytesText(sum(({ receipt }) => receipt?.bytesCopied ?? 0)),
          formatSeconds(sum(({ milliseconds, origin }) => (origin === "ahead" ? 0 : milliseconds)) / 1000),
          "",
        ]}
      />
    </Section>
  );
}

interface LabelProps extends Pick<ReportAction, "label" | "origin"> {
  readonly failed: boolean;
}

function Label({ label, origin, failed }: LabelProps): ReactNode {
  return (
    <>
      {label}
      {origin === "by_hand" && <small className="tag">by hand</small>}
      {origin === "set_up" && <small className="tag">first use</small>}
      {origin === "ahead" && <small className="tag">in the background</small>}
      {failed && <small className="tag danger">failed</small>}
    </>
  );
}

function bytesText(bytes: number | undefined): string {
  return bytes === undefined || bytes === 0 ? "–" : formatBytes(bytes);
}

function speedText(bytesCopied: number | undefined, milliseconds: number): string {
  if (bytesCopied === undefined || bytesCopied === 0 || milliseconds === 0) return "–";
  return formatBandwidth(bytesCopied / (milliseconds / 1000));
}
