/** One consumer: its state in words, its bytes as a bar, its actions as buttons, what was done to it last. */
import { Copy, Share2 } from "lucide-react";
import type { ReactNode } from "react";
import type { ConsumerState } from "../../../core/contract/state.ts";
import type { Residency } from "../../../core/contract/vocabulary.ts";
import { type Loan, mappedBy } from "../../../core/loan.ts";
import { consumerColour } from "../../../core/timeline/consumer-colours.ts";
import { formatBytes } from "../../../core/units.ts";
import { actionId, actionsFor } from "../../commands/consumer-actions.ts";
import { useCommands } from "../../commands/use-commands.tsx";
import { CommandButton } from "../../components/button.tsx";
import { Chip, type Tone } from "../../components/chip.tsx";
import { CommandMenu } from "../../components/menu.tsx";
import { Meter } from "../../components/meter.tsx";
import { lastActionOf, useActivity } from "../../state/activity.ts";
import { useSession } from "../../state/session.ts";
import { useColourScheme } from "../../theme/apply-theme.ts";
import { Swatch } from "../../timeline/swatch.tsx";
import { outcomeWords } from "./receipt-words.ts";

const RESIDENCY: Readonly<Record<Residency, { readonly text: string; readonly tone: Tone; readonly title: string }>> = {
  resident: { text: "resident", tone: "ok", title: "its memory is on the device" },
  released: { text: "released", tone: "warning", title: "its memory was given back; nothing was kept" },
  host: { text: "on host", tone: "accent", title: "its contents are in host memory, its device memory was given back" },
  disk: { text: "on disk", tone: "accent", title: "its contents are in a file, its device memory was given back" },
  shared: { text: "shared", tone: "accent", title: "it reads another consumer's bytes" },
};

export function ConsumerRow(props: { readonly consumer: ConsumerState; readonly scaleBytes: number }): ReactNode {
  const { consumer, scaleBytes } = props;
  const scheme = useColourScheme();
  const colour = consumerColour(consumer.consumer, scheme);
  const residency = RESIDENCY[consumer.residency];
  const bytesText = `${formatBytes(consumer.usedBytes)} used of ${formatBytes(consumer.committedBytes)} committed`;
  return (
    <li className="consumer-row" data-consumer={consumer.consumer} data-residency={consumer.residency}>
      <div className="consumer-head">
        <Swatch consumer={consumer.consumer} />
        <span className="consumer-name">{consumer.consumer}</span>
        <Chip tone={residency.tone} title={residency.title}>
          {residency.text}
        </Chip>
        <RowActions consumer={consumer} />
      </div>
      <Meter
        label={`${consumer.consumer} bytes`}
        totalBytes={scaleBytes}
        text={bytesText}
        parts={[
          { bytes: consumer.reservedBytes, colour: "var(--line-strong)", opacity: 0.35 },
          { bytes: consumer.committedBytes, colour, opacity: 0.45 },
          { bytes: consumer.usedBytes, colour },
        ]}
      />
      <p className="consumer-figures figures">
        {consumer.contents === "undefined" && consumer.residency === "resident" && needsContents(consumer) && (
          <Chip tone="danger" title="nothing may be read until it is written">
            contents undefined
          </Chip>
        )}
        <span>{bytesText}</span>
        {consumer.reservedBytes !== consumer.committedBytes && (
          <span>{formatBytes(consumer.reservedBytes)} reserved</span>
        )}
        {consumer.sharedWith && <span>reads {consumer.sharedWith}</span>}
        {consumer.backup && (
          <span title={consumer.backup.file}>
            copy on {consumer.backup.where}: {formatBytes(consumer.backup.bytes)}
            {consumer.backup.clean ? ", current" : ", out of date"}
          </span>
        )}
      </p>
      {consumer.loan && <LoanLine consumer={consumer} loan={consumer.loan} />}
      <LastOutcome consumer={consumer.consumer} />
    </li>
  );
}

/** A row that only has bytes: the pool, the context, what nobody accounts for. */
export function PlainRow(props: {
  readonly consumer: string;
  readonly bytes: number;
  readonly scaleBytes: number;
  readonly words: string;
  readonly commandId?: string;
}): ReactNode {
  return (
    <li className="consumer-row consumer-row-plain" data-consumer={props.consumer}>
      <div className="consumer-head">
        <Swatch consumer={props.consumer} />
        <span className="consumer-name" title={props.words}>
          {props.consumer}
        </span>
        <span className="consumer-plain-words">{props.words}</span>
        <span className="consumer-bytes figures">{formatBytes(props.bytes)}</span>
        {props.commandId && <CommandButton id={props.commandId} kind="plain" />}
      </div>
    </li>
  );
}

function RowActions({ consumer }: { readonly consumer: ConsumerState }): ReactNode {
  const session = useSession((store) => store.session);
  const commands = useCommands();
  if (session === undefined) return undefined;
  const { engine, consumers, device } = session;
  const actions = actionsFor({ consumer, engine, consumers, device });
  const has = (kind: string) => actions.some((action) => action.kind === kind);
  const releases = actions
    .filter((action) => action.kind === "release")
    .flatMap((action) => commands.find(({ id }) => id === actionId(consumer.consumer, action)) ?? []);
  return (
    <div className="consumer-actions">
      {has("swap") && <CommandButton id="engine.swap" kind="quiet" />}
      {has("lend") && <CommandButton id={`lend.${consumer.consumer}`} kind="quiet" />}
      {has("unload") && <CommandButton id={`unload.${consumer.consumer}`} kind="quiet" />}
      {has("resume") && <CommandButton id={`resume.${consumer.consumer}`} />}
      {releases.length > 0 && (
        <CommandMenu
          label="Release"
          description={`Release ${consumer.consumer}`}
          commands={releases}
          heading={`Release ${consumer.consumer}`}
        />
      )}
    </div>
  );
}

/** Where it is lent, who has it mapped, and the way to end that. */
function LoanLine({ consumer, loan }: { readonly consumer: ConsumerState; readonly loan: Loan }): ReactNode {
  const isThere = consumer.residency === "resident" && consumer.contents === "defined";
  return (
    <div className="consumer-loan">
      <div className="consumer-loan-head">
        <Share2 aria-hidden size={13} />
        <span className="figures" role="status">
          lent, {mappedBy(loan)}
          {!isThere && "; nobody else can map it until it is back"}
        </span>
        <CommandButton id={`end_loan.${consumer.consumer}`} />
      </div>
      <div className="consumer-loan-socket">
        <span className="mono" title={loan.path}>
          {loan.path}
        </span>
        <CommandButton id={`copy_socket.${consumer.consumer}`} kind="quiet" icon={Copy} iconOnly />
      </div>
    </div>
  );
}

function LastOutcome({ consumer }: { readonly consumer: string }): ReactNode {
  const action = useActivity((store) => lastActionOf(store.actions, consumer));
  if (action === undefined) return undefined;
  return (
    <p className="consumer-outcome figures" data-failed={action.error !== undefined || undefined} title={action.label}>
      {action.kind.replace("_", " ")}: {outcomeWords(action)}
    </p>
  );
}

/** Weights mean nothing until they are written; a cache or scratch memory starts empty and is written as it is used. */
function needsContents({ consumer }: ConsumerState): boolean {
  return consumer.endsWith(".weights");
}
