/** The head of a report: what was run, what came out of it in a few sentences, and the figures one remembers. */
import type { ReactNode } from "react";
import type { RunReport } from "../../../core/report/report.ts";
import { rewardsOf, verdictOf } from "../../../core/report/verdict.ts";
import { capacityOf } from "../../../core/run/placement.ts";
import { bargainOf } from "../../../core/run/savings.ts";
import { formatBytes, formatSeconds, formatShare } from "../../../core/units.ts";

export function Summary({ report }: { readonly report: RunReport }): ReactNode {
  const { settings, own, ending } = report;
  return (
    <header>
      <p className="brand">
        <strong>Tideline</strong> {settings.version} · PPO run ·{" "}
        <time dateTime={isoOf(settings.finishedSeconds)}>{dateOf(settings.finishedSeconds)}</time>
      </p>
      <h1>
        {settings.workload.name} <small>{own.schedule.name}</small>
      </h1>
      <p className="verdict" data-ending={ending.kind}>
        {verdictOf(report).join(" ")}
      </p>
      <Tiles report={report} />
    </header>
  );
}

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly detail: string;
  readonly good?: boolean;
}

function Tiles({ report }: { readonly report: RunReport }): ReactNode {
  const tiles = [peakTile(report), savedTile(report), timeTile(report), rewardTile(report), ...fitTiles(report)];
  return (
    <dl className="tiles">
      {tiles
        .filter((tile) => tile !== undefined)
        .map(({ name, value, detail, good }) => (
          <div key={name} className={good ? "tile good" : "tile"}>
            <dt>{name}</dt>
            <dd>
              <strong>{value}</strong>
              <span>{detail}</span>
            </dd>
          </div>
        ))}
    </dl>
  );
}

function peakTile({ own, baseline, settings }: RunReport): Tile {
  const { devices } = settings;
  const where = devices.length > 1 ? ` on ${devices.length} devices` : "";
  const capacity = `of ${formatBytes(capacityOf(devices))}${where}`;
  const against = baseline && `, with everything resident ${formatBytes(baseline.measurement.peakBytes)}`;
  return { name: "Peak", value: formatBytes(own.measurement.peakBytes), detail: `${capacity}${against ?? ""}` };
}

function savedTile({ own, baseline }: RunReport): Tile | undefined {
  const bargain = bargainOf(own.measurement, baseline?.measurement);
  if (bargain === undefined) return undefined;
  const { savedBytes, savedShare } = bargain;
  const detail = `${formatShare(savedShare)} of the peak`;
  return { name: "Saved", value: formatBytes(savedBytes), detail, good: savedBytes > 0 };
}

function timeTile({ own, baseline }: RunReport): Tile | undefined {
  const { stepSeconds, memorySeconds } = own.measurement;
  if (own.measurement.steps === 0) return undefined;
  const bargain = bargainOf(own.measurement, baseline?.measurement);
  if (bargain === undefined || baseline === undefined) {
    const detail = `of it memory actions ${formatSeconds(memorySeconds)}`;
    return { name: "Time per step", value: formatSeconds(stepSeconds), detail };
  }
  const { paidSecondsPerStep: paid } = bargain;
  const [step, other] = [stepSeconds, baseline.measurement.stepSeconds].map(formatSeconds);
  return {
    name: "Paid per step",
    value: `${paid < 0 ? "−" : "+"}${formatSeconds(Math.abs(paid))}`,
    detail: `of memory actions; a step took ${step} instead of ${other}`,
  };
}

function rewardTile({ own }: RunReport): Tile | undefined {
  const rewards = rewardsOf(own);
  if (rewards === undefined) return undefined;
  const { first, last } = rewards;
  const detail = "mean of the first and the last step";
  return { name: "Reward", value: `${first.toFixed(3)} → ${last.toFixed(3)}`, detail, good: last > first };
}

/** Each grown alone, with the other as it is. */
function fitTiles({ own, baseline }: RunReport): readonly Tile[] {
  const { largest } = own;
  if (largest === undefined) return [];
  const other = baseline?.largest;
  const instead = (value: string | undefined) =>
    value === undefined ? "at most, within the capacity" : `at most, instead of ${value}`;
  return [
    {
      name: "KV cache that fits",
      value: formatBytes(largest.kvCacheBytes),
      detail: instead(other && formatBytes(other.kvCacheBytes)),
    },
    {
      name: "Micro-batch that fits",
      value: String(largest.microBatch),
      detail: instead(other && String(other.microBatch)),
    },
  ];
}

/** `2026-01-31 14:03 UTC`: the same for every reader. */
function dateOf(timeSeconds: number): string {
  return `${isoOf(timeSeconds).slice(0, 16).replace("T", " ")} UTC`;
}

function isoOf(timeSeconds: number): string {
  return new Date(timeSeconds * 1000).toISOString();
}
