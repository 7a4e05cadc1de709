/** The bars in their panel: which GPU they are of, what is drawn beside them, and what their colours mean. */
import { memo, type ReactNode, useMemo, useRef, useState } from "react";
import type { Consumer } from "../../../../core/consumers.ts";
import type { PredictedGpu, Prediction } from "../../../../core/planner/predict/prediction.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { type Choice, Segmented } from "../../../components/field.tsx";
import { drawBeside, usePlan } from "../../../state/plan.ts";
import { setPreferences, usePreferences } from "../../../state/preferences.ts";
import { useColourScheme } from "../../../theme/apply-theme.ts";
import { Swatch } from "../../../timeline/swatch.tsx";
import { useSize } from "../../../timeline/use-view.ts";
import { type Option, Select } from "../form/controls.tsx";
import { type Beside, useMeasured } from "../use-beside.ts";
import { consumersOf, geometryOf, gpuIndex, phaseBars } from "./bars.ts";
import { Chart, type Hovered } from "./chart.tsx";
import { OverTime } from "./over-time.tsx";
import { useShownPicture } from "./picture.ts";
import { ChartTooltip } from "./tooltip.tsx";
import "./chart-panel.css";

interface ChartPanelProps {
  /** The last one that could be made. */
  readonly prediction: Prediction;
  /** The plan on the screen has none: fields are wrong. */
  readonly isStale: boolean;
  readonly beside: Beside | undefined;
  readonly kind: string | undefined;
  readonly onKind: (kind: string) => void;
  readonly selected: Work;
  readonly onSelect: (work: Work) => void;
}

type GpuKind = PredictedGpu["kind"];

const TWO_KINDS = [
  { value: "trainer", label: "Trainer's GPU" },
  { value: "engine", label: "Engine's GPU" },
] as const satisfies readonly Choice<GpuKind>[];

const DRAWN = [
  { value: "phases", label: "By phase" },
  { value: "time", label: "Over time" },
] as const;

export function ChartPanel(props: ChartPanelProps): ReactNode {
  const { prediction, isStale, kind } = props;
  const { gpus } = prediction;
  const shownAs = usePreferences((preferences) => preferences.planChart);
  // Over time the fullest is drawn.
  const drawnIndex = shownAs === "phases" ? gpuIndex(prediction, kind) : gpus.indexOf(prediction.fullest);
  const measured = useMeasured(prediction, drawnIndex);
  return (
    <section className="panel plan-chart" aria-label="Memory by phase" data-stale={isStale || undefined}>
      <ChartHeader
        kind={gpus.length > 1 ? gpus[gpuIndex(prediction, kind)]?.kind : undefined}
        onKind={props.onKind}
        measuredStep={measured?.step}
      />
      {shownAs === "phases" ? <PhaseBarsChart {...props} /> : <OverTime prediction={prediction} measured={measured} />}
    </section>
  );
}

/** What is chosen about the picture; not drawn anew with every number of the plan. */
const ChartHeader = memo(function ChartHeader(props: {
  /** Of the GPU that is drawn, where a placement has two. */
  readonly kind: GpuKind | undefined;
  readonly onKind: (kind: string) => void;
  readonly measuredStep: number | undefined;
}): ReactNode {
  const { kind, onKind, measuredStep } = props;
  const shownAs = usePreferences((preferences) => preferences.planChart);
  return (
    <header className="panel-header">
      <h2 className="panel-title">Memory</h2>
      {shownAs === "phases" && <BesideSelect measuredStep={measuredStep} />}
      {shownAs === "time" && measuredStep !== undefined && (
        <span className="plan-legend-beside">line: measured, step {measuredStep}; dots: peaks</span>
      )}
      {shownAs === "phases" && kind !== undefined && (
        <Segmented legend="GPU" value={kind} choices={TWO_KINDS} onValue={onKind} />
      )}
      <Segmented
        legend="Drawn"
        value={shownAs}
        choices={DRAWN}
        onValue={(planChart) => setPreferences({ planChart })}
      />
    </header>
  );
});

function PhaseBarsChart(props: ChartPanelProps): ReactNode {
  const { prediction, beside, kind, selected, onSelect } = props;
  const { capacityBytes, marginBytes, gpu } = prediction;
  const scheme = useColourScheme();
  const [place, setPlace] = useState<HTMLElement | null>(null);
  const size = useSize(place);
  const [hovered, setHovered] = useState<Hovered>();
  const svg = useRef<SVGSVGElement>(null);
  const index = gpuIndex(prediction, kind);
  const phases = useMemo(() => phaseBars(prediction, index, beside?.stacks), [prediction, index, beside]);
  const geometry = useMemo(
    () => size && geometryOf(phases, { capacityBytes, marginBytes }, size),
    [phases, capacityBytes, marginBytes, size],
  );
  const hoveredPhase = phases.find(({ work }) => work === hovered?.work);
  useShownPicture(svg, prediction.plan.name);
  return (
    <>
      <div className="plan-legend">
        <Legend consumers={consumersOf(phases)} />
        {beside && <span className="plan-legend-beside">dashed: {beside.name}</span>}
      </div>
      <div className="plan-chart-place" ref={setPlace}>
        {geometry && (
          <Chart
            svg={svg}
            label={`${prediction.plan.name}: bytes per phase`}
            geometry={geometry}
            capacityBytes={capacityBytes}
            capacityName={gpu.name}
            scheme={scheme}
            selected={selected}
            hovered={hovered}
            onSelect={onSelect}
            onHover={setHovered}
          />
        )}
      </div>
      {hovered && hoveredPhase && (
        <ChartTooltip hovered={hovered} phase={hoveredPhase} ownName="predicted" besideName={beside?.name ?? ""} />
      )}
    </>
  );
}

/** Which consumers there are changes less often than their bytes. */
const Legend = memo(
  function Legend({ consumers }: { readonly consumers: readonly Consumer[] }): ReactNode {
    return legendOf(consumers).map(({ group, parts }) => (
      <span key={group} className="plan-legend-group">
        {parts.length > 1 && group}
        {parts.map(({ consumer, name }) => (
          <span key={consumer}>
            <Swatch consumer={consumer} />
            {parts.length > 1 ? name : consumer}
          </span>
        ))}
      </span>
    ));
  },
  (before, now) => before.consumers.join() === now.consumers.join(),
);

interface LegendGroup {
  readonly group: string;
  readonly parts: readonly { readonly consumer: Consumer; readonly name: string }[];
}

/** "policy: weights, optimizer, gradients": the parts of a role together. */
function legendOf(consumers: readonly Consumer[]): readonly LegendGroup[] {
  const groups = [...new Set(consumers.map((consumer) => groupOf(consumer)))];
  return groups.map((group) => ({
    group,
    parts: consumers
      .filter((consumer) => groupOf(consumer) === group)
      .map((consumer) => ({ consumer, name: consumer.slice(group.length + 1) })),
  }));
}

function groupOf(consumer: Consumer): string {
  return consumer.split(".")[0] ?? consumer;
}

function BesideSelect({ measuredStep }: { readonly measuredStep: number | undefined }): ReactNode {
  const other = usePlan((store) => store.other);
  const beside = usePlan((store) => store.beside);
  const options: readonly Option<"nothing" | "plan" | "run">[] = [
    { value: "nothing", label: "Nothing beside" },
    ...(other === undefined ? [] : [{ value: "plan", label: `Beside: ${other.name}` } as const]),
    ...(measuredStep === undefined ? [] : [{ value: "run", label: `Beside: measured, step ${measuredStep}` } as const]),
  ];
  if (options.length === 1) return undefined;
  const value = options.some((option) => option.value === beside) ? beside : "nothing";
  return (
    <div className="plan-beside">
      <Select label="Drawn beside the plan" value={value} options={options} onValue={drawBeside} />
    </div>
  );
}
