/** A state in one word; the word always says it, the colour only helps. */
import type { ReactNode } from "react";

export type Tone = "neutral" | "ok" | "accent" | "warning" | "danger";

export function Chip(props: {
  readonly tone?: Tone;
  readonly title?: string;
  readonly children: ReactNode;
}): ReactNode {
  return (
    <span className="chip" data-tone={props.tone ?? "neutral"} title={props.title}>
      {props.children}
    </span>
  );
}
