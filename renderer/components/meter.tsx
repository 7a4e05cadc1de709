/** A share of a whole as a bar, with up to three nested parts (reserved, committed, used). */
import type { ReactNode } from "react";
import "./meter.css";

export interface MeterPart {
  readonly bytes: number;
  readonly colour: string;
  readonly opacity?: number;
}

interface MeterProps {
  readonly label: string;
  readonly totalBytes: number;
  /** Drawn from the left, largest first, each over the one before. */
  readonly parts: readonly MeterPart[];
  readonly text: string;
}

export function Meter({ label, totalBytes, parts, text }: MeterProps): ReactNode {
  return (
    // biome-ignore lint/a11y/useSemanticElements: the meter element cannot show nested parts
    <div
      className="meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={totalBytes}
      aria-valuenow={parts.at(-1)?.bytes ?? 0}
      aria-valuetext={text}
    >
      {parts.map((part, index) => (
        <div
          // The parts of a meter are a fixed, ordered list.
          // biome-ignore lint/suspicious/noArrayIndexKey: see above
          key={index}
          className="meter-part"
          style={{
            width: `${totalBytes === 0 ? 0 : Math.min(100, (100 * part.bytes) / totalBytes)}%`,
            background: part.colour,
            opacity: part.opacity ?? 1,
          }}
        />
      ))}
    </div>
  );
}
