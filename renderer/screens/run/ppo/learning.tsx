/** What the run learned, step by step: small charts that share the pointer, or the same figures as a table. */
import { ChartLine, Table2 } from "lucide-react";
import { memo, type ReactNode, useMemo, useState } from "react";
import { CartesianGrid, Line, LineChart, Tooltip, XAxis, YAxis } from "recharts";
import { numberTicks } from "../../../../core/timeline/ticks.ts";
import { Button } from "../../../components/button.tsx";
import { setPreferences, usePreferences } from "../../../state/preferences.ts";
import { useRun } from "../../../state/run.ts";
import { useSize } from "../../../timeline/use-view.ts";
import { CURVES, type Curve, type CurvePoint, pointsOf } from "./learning-series.ts";
import "./learning.css";

export function Learning(): ReactNode {
  const steps = useRun((store) => store.steps);
  const shownAs = usePreferences((preferences) => preferences.learningView);
  const points = useMemo(() => pointsOf(steps), [steps]);
  if (points.length === 0) {
    return (
      <p className="panel-empty">Reward, KL, losses, entropy and response length appear when a step is complete.</p>
    );
  }
  return (
    <div className="learning">
      <div className="learning-bar">
        <span>
          {points.length < steps.length ? `${steps.length} steps, neighbours averaged` : stepsWords(steps.length)}
        </span>
        <Button
          kind="quiet"
          icon={shownAs === "chart" ? Table2 : ChartLine}
          onClick={() => setPreferences({ learningView: shownAs === "chart" ? "table" : "chart" })}
        >
          {shownAs === "chart" ? "Table" : "Chart"}
        </Button>
      </div>
      {shownAs === "chart" ? <Charts points={points} /> : <Table points={points} />}
    </div>
  );
}

function stepsWords(count: number): string {
  return count === 1 ? "1 step" : `${count} steps`;
}

/** Least width of one chart. */
const CHART_PX = 200;
const GAP_PX = 8;
const LEAST_HEIGHT_PX = 96;

function Charts({ points }: { readonly points: readonly CurvePoint[] }): ReactNode {
  const [place, setPlace] = useState<HTMLElement | null>(null);
  const size = useSize(place);
  const [hovered, setHovered] = useState<number>();
  const columns = size === undefined || size.width >= 3 * CHART_PX ? 3 : 2;
  const rows = CURVES.length / columns;
  const width = size && Math.floor((size.width - GAP_PX * (columns - 1)) / columns);
  const height = size && Math.max(LEAST_HEIGHT_PX, Math.floor((size.height - GAP_PX * (rows - 1)) / rows));
  return (
    <div
      className="learning-charts"
      ref={setPlace}
      style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}
    >
      {width !== undefined &&
        height !== undefined &&
        CURVES.map((curve) => (
          <CurveChart
            key={curve.name}
            curve={curve}
            points={points}
            width={width}
            height={height}
            hovered={hovered}
            onHover={setHovered}
          />
        ))}
    </div>
  );
}

const HEAD_PX = 22;
const MARGIN = { top: 4, right: 10, bottom: 0, left: 0 } as const;
const TICK = { fill: "var(--text-3)", fontSize: 11 } as const;

const CurveChart = memo(function CurveChart(props: {
  readonly curve: Curve;
  readonly points: readonly CurvePoint[];
  readonly width: number;
  readonly height: number;
  /** Number of the point under the pointer, in any of the charts. */
  readonly hovered: number | undefined;
  readonly onHover: (index: number | undefined) => void;
}): ReactNode {
  const { curve, points, width, height, hovered, onHover } = props;
  const values = points.map((point) => point.values[curve.name]);
  const ticks = numberTicks(Math.min(...values), Math.max(...values), 3);
  const shown = (hovered === undefined ? undefined : points[hovered]) ?? points.at(-1);
  return (
    <figure className="curve" aria-label={`${curve.title} per step`}>
      <figcaption className="curve-head" title={curve.about}>
        <span>{curve.title}</span>
        {shown && (
          <span className="figures">
            {hovered !== undefined && <span className="curve-step">step {shown.step} </span>}
            <b>{figure(shown, curve)}</b>
            {curve.unit && ` ${curve.unit}`}
          </span>
        )}
      </figcaption>
      <LineChart
        width={width}
        height={height - HEAD_PX}
        data={[...points]}
        margin={MARGIN}
        syncId="learning"
        accessibilityLayer={false}
        onMouseMove={({ activeTooltipIndex }) =>
          onHover(
            activeTooltipIndex === undefined || activeTooltipIndex === null ? undefined : Number(activeTooltipIndex),
          )
        }
        onMouseLeave={() => onHover(undefined)}
      >
        <CartesianGrid stroke="var(--line)" strokeOpacity={0.7} vertical={false} />
        <XAxis
          dataKey="step"
          type="number"
          domain={["dataMin", "dataMax"]}
          allowDecimals={false}
          tickCount={4}
          height={18}
          tick={TICK}
          tickLine={false}
          axisLine={{ stroke: "var(--line)" }}
        />
        <YAxis
          domain={[ticks[0] ?? 0, ticks.at(-1) ?? 1]}
          ticks={[...ticks]}
          interval={0}
          width={48}
          tick={TICK}
          tickLine={false}
          axisLine={false}
          tickFormatter={tickWords}
        />
        {/* The figures are in the heads of all charts; only the line under the pointer is drawn. */}
        <Tooltip
          content={() => null}
          cursor={{ stroke: "var(--text-3)", strokeDasharray: "2 3" }}
          isAnimationActive={false}
        />
        <Line
          dataKey={(point: CurvePoint) => point.values[curve.name]}
          type="linear"
          stroke="var(--accent)"
          strokeWidth={1.75}
          dot={points.length <= 30 ? { r: 2.5, fill: "var(--accent)", strokeWidth: 0 } : false}
          activeDot={{ r: 4, fill: "var(--accent)", stroke: "var(--surface-1)", strokeWidth: 2 }}
          isAnimationActive={false}
        />
      </LineChart>
    </figure>
  );
});

function figure(point: CurvePoint, { name, digits }: Curve): string {
  return point.values[name].toFixed(digits).replace("-", "−");
}

function tickWords(value: number): string {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

function Table({ points }: { readonly points: readonly CurvePoint[] }): ReactNode {
  return (
    <div className="learning-table-scroll">
      <table className="learning-table figures">
        <thead>
          <tr>
            <th scope="col">Step</th>
            {CURVES.map(({ name, title, about, unit }) => (
              <th scope="col" key={name} title={about}>
                {unit === undefined ? title : `${title}, ${unit}`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points.toReversed().map((point) => (
            <tr key={point.step}>
              <th scope="row">{point.steps === 1 ? point.step : `${point.step - point.steps + 1}–${point.step}`}</th>
              {CURVES.map((curve) => (
                <td key={curve.name}>{figure(point, curve)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
