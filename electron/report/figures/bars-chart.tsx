/** Stacked bars of bytes by holder, against a capacity: groups of them with a name, one below the other. */
import type { ReactNode } from "react";
import { type Holders, heldInOrder } from "../../../core/report/holders.ts";
import { byteTicks, formatByteTick } from "../../../core/timeline/ticks.ts";
import { formatBytes } from "../../../core/units.ts";
import { bandFill, byteScale, Chart, consumerClass } from "./chart.tsx";
import { rounded } from "./svg-path.ts";

export interface Bar {
  readonly label: string;
  readonly totalBytes: number;
  readonly holders: Holders;
  /** Drawn behind what it is compared with. */
  readonly isReference: boolean;
}

export interface BarGroup {
  readonly name: string;
  readonly bars: readonly Bar[];
}

export interface BarsChartProps {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly groups: readonly BarGroup[];
  readonly capacityBytes: number;
  readonly width: number;
}

const NAMES_WIDTH = 190;
const VALUES_WIDTH = 78;
const BAR_HEIGHT = 13;
const BAR_GAP = 2;
const GROUP_GAP = 13;
const TOP = 20;
const BOTTOM = 24;
const TICKS = 8;

export function BarsChart(props: BarsChartProps): ReactNode {
  const { groups, capacityBytes, width } = props;
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ totalBytes }) => totalBytes)));
  const { topBytes, showsCapacity } = byteScale(most, capacityBytes);
  const plotWidth = width - NAMES_WIDTH - VALUES_WIDTH;
  const xOf = (bytes: number) => rounded(NAMES_WIDTH + (plotWidth * bytes) / topBytes);
  const capacityPx = showsCapacity ? xOf(capacityBytes) : NAMES_WIDTH + plotWidth;
  const tops = groupTops(groups);
  const bottom = tops.at(-1) ?? TOP;
  return (
    <Chart {...props} height={bottom + BOTTOM}>
      {byteTicks(topBytes, TICKS).map((bytes) => (
        <g key={bytes}>
          <line className="line-grid" x1={xOf(bytes)} x2={xOf(bytes)} y1={TOP} y2={bottom} />
          <text className="axis" x={xOf(bytes)} y={bottom + 16} textAnchor="middle">
            {formatByteTick(bytes)}
          </text>
        </g>
      ))}
      {groups.map((group, index) => (
        <Group key={group.name} group={group} y={tops[index] ?? TOP} xOf={xOf} />
      ))}
      {showsCapacity && <line className="line-capacity" x1={capacityPx} x2={capacityPx} y1={TOP - 4} y2={bottom} />}
      <text className="label-capacity" x={capacityPx} y={TOP - 8} textAnchor="end">
        {`capacity ${formatBytes(capacityBytes)}${showsCapacity ? "" : " →"}`}
      </text>
    </Chart>
  );
}

/** Where each group begins, and where the last one ends. */
function groupTops(groups: readonly BarGroup[]): readonly number[] {
  const tops = [TOP + GROUP_GAP / 2];
  for (const { bars } of groups) {
    tops.push((tops.at(-1) ?? TOP) + bars.length * (BAR_HEIGHT + BAR_GAP) + GROUP_GAP);
  }
  return tops;
}

interface GroupProps {
  readonly group: BarGroup;
  readonly y: number;
  readonly xOf: (bytes: number) => number;
}

function Group({ group: { name, bars }, y, xOf }: GroupProps): ReactNode {
  const height = bars.length * (BAR_HEIGHT + BAR_GAP) - BAR_GAP;
  return (
    <g>
      <text className="bar-name" x={NAMES_WIDTH - 14} y={y + height / 2 + 4} textAnchor="end">
        {name}
      </text>
      {bars.map((bar, index) => (
        <StackedBar key={bar.label} bar={bar} y={y + index * (BAR_HEIGHT + BAR_GAP)} xOf={xOf} />
      ))}
    </g>
  );
}

interface StackedBarProps {
  readonly bar: Bar;
  readonly y: number;
  readonly xOf: (bytes: number) => number;
}

function StackedBar({ bar: { label, totalBytes, holders, isReference }, y, xOf }: StackedBarProps): ReactNode {
  let bytesBefore = 0;
  return (
    <g className={isReference ? "bar-reference" : "bar-own"}>
      {heldInOrder(holders).map(({ consumer, bytes }) => {
        const from = xOf(bytesBefore);
        bytesBefore += bytes;
        return (
          <g key={consumer} className={consumerClass(consumer)}>
            <title>{`${label}: ${consumer} ${formatBytes(bytes)}`}</title>
            <rect {...bandFill(consumer)} x={from} y={y} width={rounded(xOf(bytesBefore) - from)} height={BAR_HEIGHT} />
            <line className="bar-seam" x1={xOf(bytesBefore)} x2={xOf(bytesBefore)} y1={y} y2={y + BAR_HEIGHT} />
          </g>
        );
      })}
      <text className="bar-value" x={xOf(totalBytes) + 6} y={y + BAR_HEIGHT - 3}>
        {formatBytes(totalBytes)}
      </text>
    </g>
  );
}
