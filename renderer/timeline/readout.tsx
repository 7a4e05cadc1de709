/**
 * The figures beside the timeline, and its legend: total, free and every consumer at the pointer, at the cursors, or
 * now. With two cursors it also says what changed between them.
 */
import { memo, type ReactNode } from "react";
import type { ActionRecord } from "../../core/contract/timeline.ts";
import {
  type ConsumerReading,
  type Difference,
  latestReading,
  type Reading,
  readingAt,
} from "../../core/timeline/readout.ts";
import { formatClock, formatRelative } from "../../core/timeline/ticks.ts";
import type { Timeline } from "../../core/timeline/timeline.ts";
import { formatBytes, formatSeconds } from "../../core/units.ts";
import { differenceOf, shownConsumers, shownFigures } from "./shown-figures.ts";
import { Swatch } from "./swatch.tsx";
import { isSameButWindow, usePulse, useViewState } from "./use-view.ts";
import type { TimelineView, TimelineViewState } from "./view.ts";

const POINTER_MS = 33;
const LIVE_MS = 200;
/** Precision of times in the read-out. */
const STEP_SECONDS = 0.01;

export function Readout({ timeline, view }: { readonly timeline: Timeline; readonly view: TimelineView }): ReactNode {
  const state = useViewState(view, POINTER_MS, isSameButWindow);
  usePulse(LIVE_MS, view.isLive);
  const at = state.hoverSeconds ?? state.cursorB ?? state.cursorA;
  const reading = at === undefined ? latestReading(timeline) : readingAt(timeline, at);
  const between = differenceOf(timeline, state);
  return (
    <aside className="timeline-readout figures" aria-label="Memory at the pointer">
      <Heading reading={reading} timeline={timeline} state={state} isLive={view.isLive} />
      {between && <DifferenceSummary seconds={between.difference.seconds} bytes={between.shownBytes} />}
      <ConsumerRows
        readings={reading === undefined ? [] : shownConsumers(reading, timeline, view.state, view.isLive)}
        difference={between?.difference}
        totalBytes={reading === undefined ? 0 : shownFigures(reading, state).ofBytes}
        highlighted={state.highlighted}
        view={view}
      />
      {reading?.before && <Nearest action={reading.before} timeSeconds={reading.timeSeconds} />}
    </aside>
  );
}

function Heading(props: {
  readonly reading: Reading | undefined;
  readonly timeline: Timeline;
  readonly state: TimelineViewState;
  readonly isLive: boolean;
}): ReactNode {
  const { reading, timeline, state, isLive } = props;
  const where =
    state.hoverSeconds !== undefined
      ? ""
      : state.cursorB !== undefined
        ? "B "
        : state.cursorA !== undefined
          ? "A "
          : "";
  const at = state.hoverSeconds ?? state.cursorB ?? state.cursorA;
  const origin = timeline.samples.originSeconds ?? 0;
  const time =
    at === undefined
      ? isLive
        ? "Newest sample"
        : "At its end"
      : `${where}${state.timeLabels === "clock" ? formatClock(at, STEP_SECONDS) : formatRelative(at - origin, STEP_SECONDS)}`;
  if (reading === undefined) {
    return (
      <header className="timeline-readout-head">
        <span className="timeline-readout-time">{time}</span>
        <strong>—</strong>
        <span className="timeline-soft">{timeline.samples.rows === 0 ? "waiting for samples" : "no samples here"}</span>
      </header>
    );
  }
  const figures = shownFigures(reading, state);
  return (
    <header className="timeline-readout-head">
      <span className="timeline-readout-time">
        {time}
        {reading.phase && <em>{reading.phase.name.replaceAll("_", " ")}</em>}
      </span>
      <strong>
        {formatBytes(figures.bytes)} <small>{figures.words}</small>
      </strong>
      <span className="timeline-soft">
        {formatBytes(figures.freeBytes)} free of {formatBytes(figures.ofBytes)}
        {reading.hostBackupBytes > 0 && ` · ${formatBytes(reading.hostBackupBytes)} in host backups`}
      </span>
    </header>
  );
}

function DifferenceSummary({ seconds, bytes }: { readonly seconds: number; readonly bytes: number }): ReactNode {
  return (
    <p className="timeline-difference">
      <span>A → B</span>
      <span>{formatSeconds(seconds)}</span>
      <strong>{bytes === 0 ? "no change" : signed(bytes)}</strong>
    </p>
  );
}

function ConsumerRows(props: {
  readonly readings: readonly ConsumerReading[];
  readonly difference: Difference | undefined;
  readonly totalBytes: number;
  readonly highlighted: string | undefined;
  readonly view: TimelineView;
}): ReactNode {
  const { readings, difference, totalBytes, highlighted, view } = props;
  const changes = new Map(difference?.consumers.map((change) => [change.consumer, change.committedBytes]));
  return (
    <ul className="timeline-consumers">
      {readings.toReversed().map((reading) => (
        <ConsumerRow
          key={reading.consumer}
          reading={reading}
          changeBytes={difference === undefined ? undefined : (changes.get(reading.consumer) ?? 0)}
          totalBytes={totalBytes}
          isHighlighted={reading.consumer === highlighted}
          view={view}
        />
      ))}
    </ul>
  );
}

const ConsumerRow = memo(function ConsumerRow(props: {
  readonly reading: ConsumerReading;
  readonly changeBytes: number | undefined;
  readonly totalBytes: number;
  readonly isHighlighted: boolean;
  readonly view: TimelineView;
}): ReactNode {
  const { reading, changeBytes, totalBytes, isHighlighted, view } = props;
  const { consumer, committedBytes, usedBytes } = reading;
  const isPartlyUsed = usedBytes !== undefined && formatBytes(usedBytes) !== formatBytes(committedBytes);
  return (
    <li
      data-empty={committedBytes === 0 || undefined}
      data-highlighted={isHighlighted || undefined}
      onPointerEnter={() => view.highlight(consumer)}
      onPointerLeave={() => view.highlight(undefined)}
      title={title(reading)}
    >
      <Swatch consumer={consumer} />
      <span className="timeline-consumer-name">{consumer}</span>
      <span className="timeline-consumer-bytes">
        {isPartlyUsed && <small>{formatBytes(usedBytes)} of </small>}
        {committedBytes === 0 ? "—" : formatBytes(committedBytes)}
      </span>
      {changeBytes !== undefined && (
        <span className="timeline-consumer-change" data-sign={Math.sign(changeBytes)}>
          {changeBytes === 0 ? "" : signed(changeBytes)}
        </span>
      )}
      <span className="timeline-consumer-share" aria-hidden>
        <span style={{ width: share(committedBytes, totalBytes), opacity: 0.35 }} />
        <span style={{ width: share(usedBytes ?? committedBytes, totalBytes) }} />
      </span>
    </li>
  );
});

function title({ consumer, committedBytes, usedBytes, reservedBytes }: ConsumerReading): string {
  const parts = [
    `${formatBytes(committedBytes)} committed`,
    usedBytes !== undefined && `${formatBytes(usedBytes)} in use`,
    reservedBytes !== undefined && `${formatBytes(reservedBytes)} reserved`,
  ];
  return `${consumer}: ${parts.filter((part) => part !== false).join(", ")}`;
}

function Nearest({ action, timeSeconds }: { readonly action: ActionRecord; readonly timeSeconds: number }): ReactNode {
  return (
    <p className="timeline-nearest" data-failed={action.error !== undefined || undefined}>
      {formatSeconds(timeSeconds - action.timeSeconds)} after <b>{action.label}</b>
      {action.error !== undefined && " (failed)"}
    </p>
  );
}

function signed(bytes: number): string {
  return bytes < 0 ? `−${formatBytes(-bytes)}` : `+${formatBytes(bytes)}`;
}

function share(bytes: number, totalBytes: number): string {
  return `${totalBytes > 0 ? Math.min(100, (100 * bytes) / totalBytes) : 0}%`;
}
