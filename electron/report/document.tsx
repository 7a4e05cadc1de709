/** The document: its head, which forbids it to load or send anything, and its sections in the order of questions. */
import type { ReactNode } from "react";
import type { RunReport } from "../../core/report/report.ts";
import { Textures } from "./figures/chart.tsx";
import { Actions } from "./sections/actions.tsx";
import { Failure } from "./sections/failure.tsx";
import { Learning } from "./sections/learning.tsx";
import { Memory } from "./sections/memory.tsx";
import { Phases } from "./sections/phases.tsx";
import { Quantisation } from "./sections/quantisation.tsx";
import { Rollouts } from "./sections/rollouts.tsx";
import { ScheduleList } from "./sections/schedule.tsx";
import { Settings } from "./sections/settings.tsx";
import { Summary } from "./sections/summary.tsx";

export interface DocumentProps {
  readonly report: RunReport;
  readonly styles: string;
  readonly contentSecurityPolicy: string;
}

export function Document({ report, styles, contentSecurityPolicy }: DocumentProps): ReactNode {
  const { own, settings, shownStep, quantisation } = report;
  return (
    <html lang="en">
      <head>
        <meta charSet="utf-8" />
        <meta httpEquiv="Content-Security-Policy" content={contentSecurityPolicy} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${settings.workload.name}: ${own.schedule.name} – Tideline`}</title>
        <style>{styles}</style>
      </head>
      <body>
        <Textures />
        <main>
          <Summary report={report} />
          <Failure report={report} />
          <Memory report={report} />
          <Phases report={report} />
          <Learning report={report} />
          {shownStep && <Actions shown={shownStep} />}
          <ScheduleList schedule={own.schedule} />
          <Rollouts own={own} />
          <Quantisation roles={quantisation} />
          <Settings report={report} />
          <footer>
            <p>
              Measured, not predicted. Bytes are what regions and the pool took of the device's capacity, read between
              any two items of the schedule and sampled within them; 1 MiB is 2<sup>20</sup> bytes, 1 GB/s 10
              <sup>9</sup> bytes per second.
            </p>
          </footer>
        </main>
      </body>
    </html>
  );
}
