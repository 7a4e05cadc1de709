/** A number per step as a line, with the run that it is compared with behind it. */
import type { ReactNode } from "react";
import { numberTicks } from "../../../core/timeline/ticks.ts";
import { type Box, Chart, HorizontalLine, numberText } from "./chart.tsx";
import { pathOf, rounded } from "./svg-path.ts";

export interface CurvePoint {
  /** Counted from 0. */
  readonly step: number;
  readonly value: number;
}

export interface CurveChartProps {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly points: readonly CurvePoint[];
  readonly reference: readonly CurvePoint[];
  readonly width: number;
  readonly height: number;
}

const LEFT = 52;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const VALUE_TICKS = 4;
const STEP_TICKS = 6;
/** With more points than this, dots would be a thick line. */
const DOTTED_POINTS = 60;

export function CurveChart(props: CurveChartProps): ReactNode {
  const { points, reference, width, height } = props;
  const plot: Box = { x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
  const all = [...points, ...reference];
  const ticks = numberTicks(least(all.map(({ value }) => value)), most(all.map(({ value }) => value)), VALUE_TICKS);
  const [bottom = 0, top = 1] = [ticks[0], ticks.at(-1)];
  const [firstStep, lastStep] = [least(all.map(({ step }) => step)), most(all.map(({ step }) => step))];
  const xOf = (step: number) => rounded(plot.x + (plot.width * (step - firstStep)) / Math.max(1, lastStep - firstStep));
  const yOf = (value: number) => rounded(plot.y + plot.height * (1 - (value - bottom) / (top - bottom)));
  const line = (curve: readonly CurvePoint[]) =>
    pathOf((path) => {
      for (const [index, { step, value }] of curve.entries()) {
        if (index === 0) path.moveTo(xOf(step), yOf(value));
        else path.lineTo(xOf(step), yOf(value));
      }
    });
  const last = points.at(-1);
  return (
    <Chart {...props}>
      {ticks.map((value) => (
        <g key={value}>
          <HorizontalLine box={plot} y={yOf(value)} kind="grid" />
          <text className="axis" x={plot.x - 8} y={yOf(value) + 4} textAnchor="end">
            {numberText(value)}
          </text>
        </g>
      ))}
      {stepTicks(firstStep, lastStep).map((step) => (
        <text key={step} className="axis" x={xOf(step)} y={height - 6} textAnchor="middle">
          {step + 1}
        </text>
      ))}
      {reference.length > 0 && <path className="curve-reference" d={line(reference)} />}
      <path className="curve" d={line(points)} />
      {points.length <= DOTTED_POINTS &&
        points.map(({ step, value }) => (
          <circle key={step} className="curve-dot" cx={xOf(step)} cy={yOf(value)} r={2}>
            <title>{`step ${step + 1}: ${value.toPrecision(4)}`}</title>
          </circle>
        ))}
      {last && <circle className="curve-end" cx={xOf(last.step)} cy={yOf(last.value)} r={3.5} />}
    </Chart>
  );
}

/** Whole steps, the first and the last among them. */
function stepTicks(first: number, last: number): readonly number[] {
  const between = numberTicks(first + 1, last + 1, STEP_TICKS).map((step) => step - 1);
  const spacing = (last - first) / (2 * STEP_TICKS);
  const inside = between.filter((step) => Number.isInteger(step) && step - first > spacing && last - step > spacing);
  return [...new Set([first, ...inside, last])];
}

function least(numbers: readonly number[]): number {
  return numbers.reduce((min, number) => Math.min(min, number), Number.POSITIVE_INFINITY);
}

function most(numbers: readonly number[]): number {
  return numbers.reduce((max, number) => Math.max(max, number), Number.NEGATIVE_INFINITY);
}
