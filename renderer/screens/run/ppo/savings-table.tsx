/** This run against its measured baseline: bytes, seconds, and what would fit into the room that is left. */

import type { ReactNode } from "react";
import { capacityOf } from "../../../../core/run/placement.ts";
import type { LargestFit, Measurement, RunState } from "../../../../core/run/state.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { CommandButton } from "../../../components/button.tsx";
import { capitalised } from "../../../components/capitalised.ts";
import { ErrorBox } from "../../../components/error-words.tsx";
import { fitWords, ownWords, savedWords } from "./savings-words.ts";
import "./savings-table.css";

export function SavingsTable({ run }: { readonly run: RunState }): ReactNode {
  const { savings } = run;
  const { own, baseline } = savings;
  const saved = savedWords(savings);
  return (
    <div className="savings">
      <div className="savings-head">
        <div>
          <p className="savings-title" data-known={saved !== undefined || undefined}>
            {capitalised(saved ?? ownWords(savings))}
          </p>
          <p className="savings-more">{capitalised(aboutBaseline(run))}.</p>
        </div>
        <CommandButton
          id="run.measure_baseline"
          kind={baseline === undefined ? "primary" : "plain"}
          {...(baseline !== undefined && { label: "Measure again" })}
        />
      </div>
      <div className="savings-bars">
        <PeakBar name="This run" measurement={own} capacityBytes={capacityOf(run.devices)} scale={scaleOf(run)} />
        <PeakBar name="Baseline" measurement={baseline} capacityBytes={capacityOf(run.devices)} scale={scaleOf(run)} />
      </div>
      <Figures run={run} />
      {baseline?.failure && <ErrorBox error={baseline.failure} />}
    </div>
  );
}

function aboutBaseline({ savings, devices }: RunState): string {
  return (
    fitWords(savings, devices) ??
    "the baseline, the same workload with no strategy, is not measured: nothing is said about savings until it is"
  );
}

function scaleOf(run: RunState): number {
  const { own, baseline } = run.savings;
  return Math.max(capacityOf(run.devices), own.peakBytes, baseline?.peakBytes ?? 0);
}

/** A peak as a bar on one scale with the other, and the capacity as a line across it. */
function PeakBar(props: {
  readonly name: string;
  readonly measurement: Measurement | undefined;
  readonly capacityBytes: number;
  readonly scale: number;
}): ReactNode {
  const { name, measurement, capacityBytes, scale } = props;
  const share = (bytes: number) => `${(100 * bytes) / scale}%`;
  const isOver = measurement !== undefined && measurement.peakBytes > capacityBytes;
  const peak = measurement === undefined ? "not measured" : formatBytes(measurement.peakBytes);
  return (
    <div className="savings-bar">
      <span>{name}</span>
      <span className="savings-bar-place" aria-hidden>
        {measurement && (
          <span
            className="savings-bar-fill"
            data-over={isOver || undefined}
            style={{ width: share(measurement.peakBytes) }}
          />
        )}
        <span className="savings-bar-capacity" style={{ left: share(capacityBytes) }} />
      </span>
      <span className="figures">{peak}</span>
    </div>
  );
}

function Figures({ run: { savings, devices } }: { readonly run: RunState }): ReactNode {
  const { own, ownLargest, baseline, baselineLargest } = savings;
  const ofDevices = devices.length === 1 ? [] : devices;
  const rows: readonly FigureRow[] = [
    [
      ofDevices.length === 0 ? "Peak of the device's capacity" : "Peaks of all devices together",
      bytesOf(own),
      baseline && bytesOf(baseline),
    ],
    ...ofDevices.map(
      ({ name }): FigureRow => [`Peak of ${name}`, bytesOn(own, name), baseline && bytesOn(baseline, name)],
    ),
    ["A step takes", secondsOf(own, "stepSeconds"), baseline && secondsOf(baseline, "stepSeconds")],
    ["Of it memory actions", secondsOf(own, "memorySeconds"), baseline && secondsOf(baseline, "memorySeconds")],
    ["Largest KV cache that fits", kvWords(ownLargest), baseline && kvWords(baselineLargest)],
    ["Largest micro-batch that fits", batchWords(ownLargest), baseline && batchWords(baselineLargest)],
    ["Measured over", stepsWords(own), baseline && stepsWords(baseline)],
  ];
  return (
    <table className="savings-table figures">
      <thead>
        <tr>
          <td />
          <th scope="col">This run</th>
          <th scope="col">Baseline</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, ofRun, ofBaseline]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{ofRun}</td>
            <td data-unknown={ofBaseline === undefined || undefined}>{ofBaseline ?? "not measured"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type FigureRow = readonly [name: string, ofRun: string, ofBaseline: string | undefined];

const bytesOf = ({ peakBytes }: Measurement): string => (peakBytes === 0 ? "—" : formatBytes(peakBytes));

function bytesOn({ devicePeakBytes }: Measurement, device: string): string {
  const bytes = devicePeakBytes?.[device] ?? 0;
  return bytes === 0 ? "—" : formatBytes(bytes);
}

function secondsOf(measurement: Measurement, name: "stepSeconds" | "memorySeconds"): string {
  return measurement.steps === 0 ? "—" : formatSeconds(measurement[name]);
}

/** The first step takes much of its memory only at its first use: its peaks say too little. */
const NOT_YET = "known after 2 steps";

function kvWords(largest: LargestFit | undefined): string {
  if (largest === undefined) return NOT_YET;
  if (largest.kvCacheTokens === 0) return "none";
  return `${formatBytes(largest.kvCacheBytes)} · ${largest.kvCacheTokens.toLocaleString("en")} tokens`;
}

function batchWords(largest: LargestFit | undefined): string {
  if (largest === undefined) return NOT_YET;
  return largest.microBatch === 0 ? "none" : largest.microBatch.toLocaleString("en");
}

function stepsWords({ steps }: Measurement): string {
  return steps === 1 ? "1 step" : `${steps} steps`;
}
