/** Memory over time: one step large with who held what at its peak, and the whole run small. */
import type { ReactNode } from "react";
import type { ReportedDevice, RunReport, ShownStep } from "../../../core/report/report.ts";
import { runTimeline } from "../../../core/report/run-timeline.ts";
import { holdsConsumer } from "../../../core/run/placement.ts";
import { SCHEDULED_CONSUMERS } from "../../../core/schedule/works.ts";
import { emptyExtremes } from "../../../core/timeline/column.ts";
import { peakIn } from "../../../core/timeline/peak.ts";
import { phaseBands } from "../../../core/timeline/phase-bands.ts";
import { bandsOf } from "../../../core/timeline/stack.ts";
import type { TimeWindow } from "../../../core/timeline/time-scale.ts";
import type { Phase, Timeline } from "../../../core/timeline/timeline.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";
import { type NamedPhase, TimelineChart, type TimelineChartProps } from "../figures/timeline-chart.tsx";
import { ConsumerName, Section, Table, workName } from "./section.tsx";

const STEP_WIDTH = 840;
const STEP_HEIGHT = 450;
const RUN_WIDTH = 1216;
const RUN_HEIGHT = 190;

export function Memory({ report }: { readonly report: RunReport }): ReactNode {
  const { settings, shownStep, baseline } = report;
  const beside = ({ name }: { readonly name: string }): Reference => {
    const { devicePeakBytes, peakBytes } = baseline?.measurement ?? {};
    const bytes = devicePeakBytes === undefined ? peakBytes : devicePeakBytes[name];
    if (bytes === undefined) return { reference: undefined };
    return { reference: { bytes, label: `peak with everything resident ${formatBytes(bytes)}` } };
  };
  return (
    <>
      {shownStep &&
        ownActions(shownStep.devices, settings.devices).map((device) => (
          <StepMemory
            key={device.name}
            step={shownStep.step}
            shown={device}
            where={whereOf(report, device)}
            {...beside(device)}
          />
        ))}
      {settings.devices.map((device) => (
        <RunMemory
          key={device.name}
          report={report}
          device={device}
          where={whereOf(report, device)}
          {...beside(device)}
        />
      ))}
    </>
  );
}

interface Reference {
  readonly reference: TimelineChartProps["reference"];
}

/** With the actions on memory that lies there, where there are several. */
function ownActions(shown: ShownStep["devices"], devices: readonly ReportedDevice[]): ShownStep["devices"] {
  if (devices.length <= 1) return shown;
  return shown.map(({ name, timeline }) => {
    const device = devices.find((candidate) => candidate.name === name);
    const isThere = (consumer: string | undefined) =>
      SCHEDULED_CONSUMERS.some((own) => own === consumer && device !== undefined && holdsConsumer(device, own));
    const actions = timeline.actions.filter(({ consumer }) => isThere(consumer));
    return { name, timeline: { ...timeline, actions } };
  });
}

/** Which of several devices it is, for titles and for ids. */
interface Where {
  readonly title: string;
  readonly id: string;
}

function whereOf({ settings: { devices } }: RunReport, { name }: { readonly name: string }): Where {
  if (devices.length <= 1) return { title: "", id: "" };
  return { title: ` on ${name}`, id: `-${devices.findIndex((device) => device.name === name) + 1}` };
}

interface StepMemoryProps extends Reference {
  readonly step: number;
  readonly shown: ShownStep["devices"][number];
  readonly where: Where;
}

function StepMemory({ step, shown: { timeline }, where, reference }: StepMemoryProps): ReactNode {
  const window = windowOf(timeline);
  if (window === undefined) return undefined;
  const title = `Memory in step ${step + 1}${where.title}`;
  return (
    <Section
      id={`step-memory${where.id}`}
      title={title}
      about="Bytes of the device's capacity, by who holds them. Lighter: taken and not in use. Circles: memory actions."
    >
      <div className="beside">
        <TimelineChart
          id={`step-timeline${where.id}`}
          title={title}
          description={describe(timeline, window)}
          timeline={timeline}
          phases={timeline.phases.map((phase, index) => ({ ...phase, shortName: String(index + 1) }))}
          window={window}
          width={STEP_WIDTH}
          height={STEP_HEIGHT}
          reference={reference}
        />
        <Holders timeline={timeline} window={window} />
      </div>
    </Section>
  );
}

/** The picture's legend, from the top of the stack to its bottom, with figures. */
function Holders({ timeline, window }: { readonly timeline: Timeline; readonly window: TimeWindow }): ReactNode {
  const peak = peakIn(timeline, window, "regions");
  if (peak === undefined) return undefined;
  const atPeak = new Map(peak.holders.map(({ consumer, bytes }) => [consumer, bytes]));
  return (
    <Table
      caption="Who held what at the peak, and at most in this step"
      columns={[{ name: "Holder" }, { name: "At the peak", isNumber: true }, { name: "At most", isNumber: true }]}
      rows={mostHeld(timeline)
        .toReversed()
        .map(({ consumer, bytes }) => [
          <ConsumerName key="name" consumer={consumer} />,
          atPeak.has(consumer) ? formatBytes(atPeak.get(consumer) ?? 0) : "–",
          formatBytes(bytes),
        ])}
      total={["Together", formatBytes(peak.bytes), ""]}
    />
  );
}

/** What each consumer held at most, from the bottom of the stack to its top. */
function mostHeld({ samples }: Timeline): readonly { readonly consumer: string; readonly bytes: number }[] {
  return bandsOf(samples, "regions").flatMap(({ consumer, committed }) => {
    const found = emptyExtremes();
    samples.extremes(committed, samples.firstRow, samples.endRow, found);
    return found.max > 0 ? { consumer, bytes: found.max } : [];
  });
}

interface RunMemoryProps extends Reference {
  readonly report: RunReport;
  readonly device: ReportedDevice;
  readonly where: Where;
}

function RunMemory({ report: { own }, device, where, reference }: RunMemoryProps): ReactNode {
  const run = runTimeline(own, device);
  if (run === undefined) return undefined;
  const { timeline, window } = run;
  const title = `Memory in the whole run${where.title}`;
  return (
    <Section id={`run-memory${where.id}`} title={title} about="Every phase at its peak.">
      <TimelineChart
        id={`run-timeline${where.id}`}
        title={title}
        description={describe(timeline, window)}
        timeline={timeline}
        phases={phaseBands(timeline.phases, window, RUN_WIDTH).map(withNumbersOnly)}
        window={window}
        width={RUN_WIDTH}
        height={RUN_HEIGHT}
        reference={reference}
      />
    </Section>
  );
}

/** "steps 3–4" is "3–4" where there is no room. */
function withNumbersOnly(phase: Phase): NamedPhase {
  return { ...phase, shortName: phase.name.replace(/^steps? /, "") };
}

/** From the first phase to the end of the last one, or to the last sample of one that did not end. */
function windowOf({ phases, samples }: Timeline): TimeWindow | undefined {
  const [first, last] = [phases[0], phases.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const endSeconds = last.endSeconds ?? samples.lastSeconds ?? last.startSeconds;
  return endSeconds > first.startSeconds ? { startSeconds: first.startSeconds, endSeconds } : undefined;
}

function describe(timeline: Timeline, window: TimeWindow): string {
  const peak = peakIn(timeline, window, "regions");
  const length = `${formatSeconds(window.endSeconds - window.startSeconds)} in ${timeline.phases.length} phases`;
  if (peak === undefined) return `${length}.`;
  const after = peak.timeSeconds - window.startSeconds;
  const phase = peak.reading.phase === undefined ? "" : `, in ${workName(peak.reading.phase.name)}`;
  return `${length}. Highest after ${formatSeconds(after)}${phase}: ${formatBytes(peak.bytes)}.`;
}
