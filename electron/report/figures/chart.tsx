/** What every chart of a report is made of: a picture with a title for those who do not see it, its axes and its text. */
import type { ReactNode } from "react";
import { consumerTexture } from "../../../core/timeline/consumer-colours.ts";

/** Pixels of the picture's own grid; the page scales it. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface ChartProps {
  /** Unique in the document. */
  readonly id: string;
  readonly title: string;
  /** What the picture shows, in words. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly children: ReactNode;
}

export function Chart({ id, title, description, width, height, children }: ChartProps): ReactNode {
  return (
    <svg
      className="chart"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
    >
      <title id={`${id}-title`}>{title}</title>
      <desc id={`${id}-text`}>{description}</desc>
      {children}
    </svg>
  );
}

/** Fillings that several charts refer to; in the document once, before the first of them. */
export function Textures(): ReactNode {
  return (
    <svg className="textures" width="0" height="0" aria-hidden="true">
      <defs>
        <pattern
          id="texture-dotted"
          className={consumerClass("pool")}
          width="5"
          height="5"
          patternUnits="userSpaceOnUse"
        >
          <rect width="5" height="5" className="band-tint" />
          <circle cx="2.5" cy="2.5" r="1" className="band" />
        </pattern>
      </defs>
    </svg>
  );
}

/** The class that sets a consumer's colour. */
export function consumerClass(consumer: string): string {
  return `c-${consumer.replaceAll(/[^a-z]/g, "-")}`;
}

/** How a consumer's area is filled where it is in use. */
export function bandFill(consumer: string): { readonly fill?: string; readonly className?: string } {
  return consumerTexture(consumer) === "dotted" ? { fill: "url(#texture-dotted)" } : { className: "band" };
}

/** A capacity further than this above all that is held would leave a picture empty: then it is only named. */
const FAR = 1.75;
/** Room for the labels of the highest, and for the name of a capacity that is further up. */
const HEADROOM = 1.12;
const NAMED_HEADROOM = 1.22;

export interface ByteScale {
  readonly topBytes: number;
  readonly showsCapacity: boolean;
}

/** How far a picture of bytes goes. */
export function byteScale(mostBytes: number, capacityBytes: number): ByteScale {
  const showsCapacity = capacityBytes <= FAR * mostBytes;
  return {
    topBytes: showsCapacity
      ? HEADROOM * Math.max(1, mostBytes, capacityBytes)
      : NAMED_HEADROOM * Math.max(1, mostBytes),
    showsCapacity,
  };
}

export interface HorizontalLineProps {
  readonly box: Box;
  readonly y: number;
  readonly kind: "grid" | "capacity" | "reference";
}

export function HorizontalLine({ box, y, kind }: HorizontalLineProps): ReactNode {
  return <line className={`line-${kind}`} x1={box.x} x2={box.x + box.width} y1={y} y2={y} />;
}

const AVERAGE_GLYPH = 0.55;

/** About how wide text is: a report is written where nothing can measure it. */
export function textWidth(text: string, sizePx: number): number {
  return text.length * sizePx * AVERAGE_GLYPH;
}

/** With a minus that is one: a hyphen is half as long as a plus. */
export function numberText(number: number | string): string {
  return String(number).replace("-", "−");
}
