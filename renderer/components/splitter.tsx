/** The handle between two panels: drag it, or focus it and use the arrow keys. */
import type { KeyboardEvent, PointerEvent, ReactNode } from "react";
import "./splitter.css";

interface SplitterProps {
  readonly label: string;
  /** Of the handle itself: `vertical` stands between left and right. */
  readonly orientation: "horizontal" | "vertical";
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** The value grows towards the start (the panel that is sized lies after the handle). */
  readonly reversed?: boolean;
  readonly fromPointer: (pointer: { readonly clientX: number; readonly clientY: number }) => number;
  readonly onValue: (value: number) => void;
}

export function Splitter(props: SplitterProps): ReactNode {
  const { orientation, value, min, max, step } = props;
  const set = (next: number) => props.onValue(Math.min(max, Math.max(min, next)));

  const onKeyDown = (event: KeyboardEvent) => {
    const forward = orientation === "vertical" ? "ArrowRight" : "ArrowDown";
    const backward = orientation === "vertical" ? "ArrowLeft" : "ArrowUp";
    if (event.key !== forward && event.key !== backward) return;
    event.preventDefault();
    set(value + ((event.key === forward) !== (props.reversed ?? false) ? step : -step));
  };
  const onPointerMove = (event: PointerEvent) => {
    if (event.currentTarget.hasPointerCapture(event.pointerId)) set(props.fromPointer(event));
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: a separator that can be moved is not a thematic break
    <div
      className="splitter"
      role="separator"
      tabIndex={0}
      aria-label={props.label}
      aria-orientation={orientation}
      aria-valuemin={min}
      aria-valuemax={max}
      aria-valuenow={value}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={onPointerMove}
    />
  );
}
