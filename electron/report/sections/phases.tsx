/** Phase by phase: who held the peak, beside the run with everything resident, and where the seconds went. */
import type { ReactNode } from "react";
import { type PhaseSummary, summarisePhases } from "../../../core/report/phases.ts";
import type { ReportedRun, RunReport } from "../../../core/report/report.ts";
import { capacityOf } from "../../../core/run/placement.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";
import { type BarGroup, BarsChart } from "../figures/bars-chart.tsx";
import { Section, ShareBar, Table, workName } from "./section.tsx";

const WIDTH = 1216;

export function Phases({ report }: { readonly report: RunReport }): ReactNode {
  const { own, baseline, settings } = report;
  const phases = summarisePhases(own);
  if (phases.length === 0) return undefined;
  const others = new Map((baseline ? summarisePhases(baseline) : []).map((phase) => [phase.work, phase]));
  const groups = phases.map((phase, index): BarGroup => {
    const other = others.get(phase.work);
    return {
      name: `${index + 1}  ${workName(phase.work)}`,
      bars: [barOf("this run", phase, false), ...(other ? [barOf("everything resident", other, true)] : [])],
    };
  });
  const highest = phases.reduce((most, phase) => (phase.peakBytes > most.peakBytes ? phase : most));
  return (
    <Section
      id="phases"
      title="Peak of every phase"
      about={
        (settings.devices.length > 1 ? "The peaks of all devices together. " : "") +
        (baseline === undefined
          ? "The highest of all steps, by who held it then."
          : "The highest of all steps, by who held it then: this run above, with everything resident below.")
      }
    >
      <BarsChart
        id="phase-peaks"
        title="Peak of every phase"
        description={`Highest in ${workName(highest.work)}: ${formatBytes(highest.peakBytes)}. The table below has all figures.`}
        groups={groups}
        capacityBytes={capacityOf(settings.devices)}
        width={WIDTH}
      />
      <PhaseTable phases={phases} others={others} own={own} />
    </Section>
  );
}

function barOf(label: string, { peakBytes, holders }: PhaseSummary, isReference: boolean) {
  return { label, totalBytes: peakBytes, holders, isReference };
}

interface PhaseTableProps {
  readonly phases: readonly PhaseSummary[];
  readonly others: ReadonlyMap<string, PhaseSummary>;
  readonly own: ReportedRun;
}

/** Means over the steps; they sum to what a step takes. */
function PhaseTable({ phases, others, own }: PhaseTableProps): ReactNode {
  const hasOthers = others.size > 0;
  const longest = Math.max(...phases.map(({ workSeconds, memorySeconds }) => workSeconds + memorySeconds));
  const { steps, peakBytes, stepSeconds, memorySeconds } = own.measurement;
  return (
    <Table
      caption="Seconds and peak of every phase"
      columns={[
        { name: "Phase" },
        { name: "Work", isNumber: true },
        { name: "Memory actions", isNumber: true },
        { name: "Share of the longest" },
        { name: "Peak", isNumber: true },
        ...(hasOthers
          ? [
              { name: "Everything resident", isNumber: true },
              { name: "Saved", isNumber: true },
            ]
          : []),
      ]}
      rows={phases.map(({ work, ...phase }, index) => {
        const other = others.get(work);
        return [
          `${index + 1}  ${workName(work)}`,
          formatSeconds(phase.workSeconds),
          phase.memorySeconds === 0 ? "–" : formatSeconds(phase.memorySeconds),
          <ShareBar key="share" share={(phase.workSeconds + phase.memorySeconds) / longest} />,
          formatBytes(phase.peakBytes),
          other && formatBytes(other.peakBytes),
          other && formatBytes(other.peakBytes - phase.peakBytes),
        ];
      })}
      {...(steps > 0 && {
        total: [
          "Mean step",
          formatSeconds(stepSeconds - memorySeconds),
          formatSeconds(memorySeconds),
          "",
          formatBytes(peakBytes),
        ],
      })}
    />
  );
}
