/**
 * The stacks of a plan against the capacity, as SVG. It is drawn anew with every move of a slider, which a chart library
 * takes too long for; and it stands by itself, so that a picture of it is a copy of its markup.
 */
import { type KeyboardEvent, type ReactNode, type RefObject, useId } from "react";
import type { Consumer } from "../../../../core/consumers.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { type ColourScheme, consumerColour, consumerTexture } from "../../../../core/timeline/consumer-colours.ts";
import { formatByteTick } from "../../../../core/timeline/ticks.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { type BarGeometry, type ChartGeometry, type ColumnGeometry, MARGIN } from "./bars.ts";

export interface Hovered {
  readonly work: Work;
  readonly bar: "own" | "beside";
  readonly consumer: Consumer | undefined;
  readonly clientX: number;
  readonly clientY: number;
}

interface ChartProps {
  readonly svg: RefObject<SVGSVGElement | null>;
  readonly label: string;
  readonly geometry: ChartGeometry;
  readonly capacityBytes: number;
  readonly capacityName: string;
  readonly scheme: ColourScheme;
  readonly selected: Work;
  readonly hovered: Hovered | undefined;
  readonly onSelect: (work: Work) => void;
  readonly onHover: (hovered: Hovered | undefined) => void;
}

const FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Liberation Sans', sans-serif";

export function Chart(props: ChartProps): ReactNode {
  const { svg, geometry, capacityBytes, capacityName } = props;
  const { width, height, bottom, ticks, capacityY, marginY } = geometry;
  const hatch = useId();
  const right = width - MARGIN.right;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a picture with parts that can be chosen is no set of fields
    <svg
      ref={svg}
      xmlns="http://www.w3.org/2000/svg"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      fontFamily={FONT}
      fontSize={11}
      role="group"
      aria-label={props.label}
      onPointerLeave={() => props.onHover(undefined)}
    >
      <defs>
        <pattern id={hatch} width={6} height={6} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width={2.5} height={6} fill="var(--danger)" />
        </pattern>
      </defs>
      {ticks.map(({ bytes, y }) => (
        <g key={bytes}>
          <line x1={MARGIN.left} x2={right} y1={y} y2={y} stroke="var(--line)" strokeOpacity={0.8} />
          <text x={MARGIN.left - 8} y={y + 4} textAnchor="end" fill="var(--text-3)">
            {formatByteTick(bytes)}
          </text>
        </g>
      ))}
      {marginY > capacityY && (
        <rect
          x={MARGIN.left}
          y={capacityY}
          width={right - MARGIN.left}
          height={marginY - capacityY}
          fill="var(--warning)"
          fillOpacity={0.1}
        >
          <title>margin: what should stay free for fragmentation</title>
        </rect>
      )}
      {geometry.columns.map((column) => (
        <Column key={column.phase.work} {...props} column={column} bottom={bottom} hatch={hatch} />
      ))}
      <line
        x1={MARGIN.left}
        x2={right}
        y1={capacityY}
        y2={capacityY}
        stroke="var(--text-1)"
        strokeWidth={1.5}
        strokeDasharray="5 3"
        pointerEvents="none"
      />
      <text
        x={right}
        y={capacityY - 6}
        textAnchor="end"
        fill="var(--text-1)"
        stroke="var(--surface-1)"
        strokeWidth={4}
        paintOrder="stroke"
        pointerEvents="none"
      >
        {`${capacityName}, ${formatBytes(capacityBytes)}`}
      </text>
    </svg>
  );
}

function Column(
  props: ChartProps & { readonly column: ColumnGeometry; readonly bottom: number; readonly hatch: string },
): ReactNode {
  const { column, bottom, selected, onSelect, onHover, geometry } = props;
  const { phase, x, width } = column;
  const { work, own, beside } = phase;
  const middle = x + width / 2;
  const isSelected = work === selected;
  const hover = (bar: Hovered["bar"], consumer: Consumer | undefined) => (event: React.PointerEvent) => {
    event.stopPropagation();
    onHover({ work, bar, consumer, clientX: event.clientX, clientY: event.clientY });
  };
  const onKeyDown = (event: KeyboardEvent<SVGGElement>) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (event.key === "Enter" || event.key === " ") onSelect(work);
    else if (step === 0) return;
    else {
      const { columns } = geometry;
      const next = columns[columns.indexOf(column) + step];
      if (next !== undefined) onSelect(next.phase.work);
      const sibling = step > 0 ? event.currentTarget.nextElementSibling : event.currentTarget.previousElementSibling;
      if (sibling instanceof SVGElement && sibling.getAttribute("role") === "button") sibling.focus();
    }
    event.preventDefault();
  };
  const label = `${work}: ${formatBytes(own.bytes)}${beside === undefined ? "" : `, beside it ${formatBytes(beside.bytes)}`}`;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a part of a picture cannot be a button element
    <g
      className="plan-column"
      role="button"
      tabIndex={isSelected ? 0 : -1}
      aria-pressed={isSelected}
      aria-label={label}
      onClick={() => onSelect(work)}
      onKeyDown={onKeyDown}
      onPointerMove={hover("own", undefined)}
    >
      <rect
        x={x + 1}
        y={MARGIN.top}
        width={width - 2}
        height={bottom - MARGIN.top + MARGIN.bottom - 4}
        rx={4}
        fill={isSelected ? "var(--accent-soft)" : "transparent"}
        fillOpacity={0.75}
      />
      {column.bars.map(
        (bar, index) =>
          bar !== undefined && (
            <Bar
              key={index === 0 ? "own" : "beside"}
              {...props}
              bar={bar}
              which={index === 0 ? "own" : "beside"}
              hover={hover}
            />
          ),
      )}
      <Label middle={middle} bottom={bottom} column={column} isSelected={isSelected} />
    </g>
  );
}

function Bar(
  props: ChartProps & {
    readonly bar: BarGeometry;
    readonly which: Hovered["bar"];
    readonly hatch: string;
    readonly column: ColumnGeometry;
    readonly hover: (bar: Hovered["bar"], consumer: Consumer | undefined) => (event: React.PointerEvent) => void;
  },
): ReactNode {
  const { bar, which, hatch, scheme, hovered, column, hover, geometry } = props;
  const { x, width, segments, top, excess } = bar;
  const isHoveredBar = hovered?.work === column.phase.work && hovered.bar === which;
  return (
    <g>
      {segments.map(({ consumer, y, height }) => (
        <rect
          key={consumer}
          x={x}
          y={y}
          width={width}
          height={Math.max(0, height)}
          fill={consumerColour(consumer, scheme)}
          fillOpacity={opacityOf(consumer, which, hovered)}
          stroke="var(--surface-1)"
          strokeWidth={height > 3 ? 0.75 : 0}
          onPointerMove={hover(which, consumer)}
        />
      ))}
      {isHoveredBar &&
        segments
          .filter(({ consumer }) => consumer === hovered.consumer)
          .map(({ consumer, y, height }) => (
            <rect
              key={consumer}
              x={x}
              y={y}
              width={width}
              height={Math.max(1, height)}
              fill="none"
              stroke="var(--text-1)"
              strokeWidth={1.5}
              pointerEvents="none"
            />
          ))}
      {excess > 0 && (
        <>
          <rect
            x={x}
            y={top}
            width={width}
            height={excess}
            fill={`url(#${hatch})`}
            fillOpacity={0.65}
            pointerEvents="none"
          />
          <rect
            x={x}
            y={top}
            width={width}
            height={excess}
            fill="none"
            stroke="var(--danger)"
            strokeWidth={1.5}
            pointerEvents="none"
          />
        </>
      )}
      {which === "beside" && (
        <rect
          x={x + 0.5}
          y={top + 0.5}
          width={width - 1}
          height={Math.max(0, geometry.bottom - top - 1)}
          fill="none"
          stroke="var(--text-2)"
          strokeDasharray="2 2"
          pointerEvents="none"
        />
      )}
      {which === "own" && <Total bar={bar} isAlone={column.bars.length === 1} />}
    </g>
  );
}

/** The consumer under the pointer stands out in all phases; what a person lays beside is paler. */
function opacityOf(consumer: Consumer, which: Hovered["bar"], hovered: Hovered | undefined): number {
  const own = which === "own" ? 1 : 0.62;
  const textured = consumerTexture(consumer) === "solid" ? 1 : 0.6;
  const dimmed = hovered?.consumer !== undefined && hovered.consumer !== consumer ? 0.35 : 1;
  return own * textured * dimmed;
}

/** Bytes over a stack; a surface keeps them apart from the capacity's line. */
function Total({ bar, isAlone }: { readonly bar: BarGeometry; readonly isAlone: boolean }): ReactNode {
  return (
    <text
      x={isAlone ? bar.x + bar.width / 2 : bar.x + bar.width}
      y={bar.top - 5}
      textAnchor={isAlone ? "middle" : "end"}
      fontWeight={600}
      fill={bar.excess > 0 ? "var(--danger)" : "var(--text-1)"}
      stroke="var(--surface-1)"
      strokeWidth={3}
      paintOrder="stroke"
      pointerEvents="none"
    >
      {shortBytes(bar.bytes)}
    </text>
  );
}

/** "62.1": the axis says of what. */
function shortBytes(bytes: number): string {
  return formatBytes(bytes).replace(/ .*$/, "");
}

function Label(props: {
  readonly middle: number;
  readonly bottom: number;
  readonly column: ColumnGeometry;
  readonly isSelected: boolean;
}): ReactNode {
  const { middle, bottom, column, isSelected } = props;
  const { work, workSeconds, memorySeconds } = column.phase;
  return (
    <g pointerEvents="none" textAnchor="middle">
      {work.split("_").map((part, line) => (
        <text
          key={part}
          x={middle}
          y={bottom + 15 + 12 * line}
          fill={isSelected ? "var(--accent)" : "var(--text-2)"}
          fontWeight={isSelected ? 600 : 500}
        >
          {part}
        </text>
      ))}
      <text x={middle} y={bottom + 42} fill="var(--text-3)" fontSize={10}>
        {secondsOrNothing(workSeconds)}
      </text>
      {memorySeconds > 0 && (
        <text x={middle} y={bottom + 54} fill="var(--warning)" fontSize={10}>
          {`+ ${formatSeconds(memorySeconds)}`}
        </text>
      )}
    </g>
  );
}

function secondsOrNothing(seconds: number): string {
  return seconds === 0 ? "" : formatSeconds(seconds);
}
