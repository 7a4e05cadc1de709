/** Where the parts of a timeline lie, in CSS pixels: canvas, axes and the layer under the pointer share these numbers. */

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Geometry {
  readonly width: number;
  readonly height: number;
  /** Names of phases; no height when there are none. */
  readonly phases: Box;
  /** Markers of actions. */
  readonly markers: Box;
  /** The dense layer. */
  readonly plot: Box;
}

const BYTE_AXIS_PX = 68;
const TIME_AXIS_PX = 26;
/** Right of the plot, where half of the last label of time has its room. */
export const RIGHT_PX = 14;
const PHASES_PX = 20;
const MARKERS_PX = 28;

export function geometryOf(width: number, height: number, hasPhases: boolean): Geometry {
  const x = BYTE_AXIS_PX;
  const plotWidth = Math.max(1, width - BYTE_AXIS_PX - RIGHT_PX);
  const phases = { x, y: 4, width: plotWidth, height: hasPhases ? PHASES_PX : 0 };
  const markers = { x, y: phases.y + phases.height, width: plotWidth, height: MARKERS_PX };
  const top = markers.y + markers.height;
  const plot = { x, y: top, width: plotWidth, height: Math.max(1, height - top - TIME_AXIS_PX) };
  return { width, height, phases, markers, plot };
}
