/** Draws the sign of an action with strokes, so that it is sharp at any pixel ratio. */
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { actionIcon } from "../../../core/timeline/action-icons.ts";

export function drawActionIcon(
  context: CanvasRenderingContext2D,
  action: ActionRecord,
  x: number,
  y: number,
  colour: string,
): void {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  for (const stroke of actionIcon(action)) {
    stroke.forEach(([dx, dy], index) => {
      if (index === 0) context.moveTo(x + dx, y + dy);
      else context.lineTo(x + dx, y + dy);
    });
  }
  context.stroke();
}
