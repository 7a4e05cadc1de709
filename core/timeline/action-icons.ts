/** One small sign per kind of action, as strokes: the window and reports draw the same ones. */
import type { ActionRecord } from "../contract/timeline.ts";

/** A polyline. */
export type Stroke = readonly (readonly [number, number])[];

/** Polylines on a grid of -4…4 around the marker's middle; y grows downwards. */
const ICONS: Readonly<Record<ActionRecord["kind"], readonly Stroke[]>> = {
  // Bytes leave: an arrow down; they come back: an arrow up.
  release: [
    [
      [0, -3.5],
      [0, 3.5],
    ],
    [
      [-2.8, 0.8],
      [0, 3.5],
      [2.8, 0.8],
    ],
  ],
  resume: [
    [
      [0, 3.5],
      [0, -3.5],
    ],
    [
      [-2.8, -0.8],
      [0, -3.5],
      [2.8, -0.8],
    ],
  ],
  load: [
    [
      [0, -3.8],
      [0, 1.2],
    ],
    [
      [-2.4, -1],
      [0, 1.2],
      [2.4, -1],
    ],
    [
      [-3.4, 3.6],
      [3.4, 3.6],
    ],
  ],
  // A place is made, and nothing is in it yet.
  prepare: [
    [
      [-3.4, -1.4],
      [-3.4, 3.6],
      [3.4, 3.6],
      [3.4, -1.4],
    ],
  ],
  unload: [
    [
      [0, 1.4],
      [0, -3.6],
    ],
    [
      [-2.4, -1.4],
      [0, -3.6],
      [2.4, -1.4],
    ],
    [
      [-3.4, 3.6],
      [3.4, 3.6],
    ],
  ],
  swap: [
    [
      [-3.6, -1.6],
      [3.4, -1.6],
    ],
    [
      [1.4, -3.6],
      [3.6, -1.6],
    ],
    [
      [3.6, 1.8],
      [-3.4, 1.8],
    ],
    [
      [-1.4, 3.8],
      [-3.6, 1.8],
    ],
  ],
  // One place that two reach; the same, and closed.
  lend: [
    [
      [-3.6, 2.4],
      [0, -2.4],
      [3.6, 2.4],
    ],
  ],
  end_loan: [
    [
      [-3.6, 2.4],
      [0, -2.4],
      [3.6, 2.4],
      [-3.6, 2.4],
    ],
  ],
  pause: [
    [
      [-1.7, -3],
      [-1.7, 3],
    ],
    [
      [1.7, -3],
      [1.7, 3],
    ],
  ],
  continue: [
    [
      [-1.8, -3.2],
      [3, 0],
      [-1.8, 3.2],
      [-1.8, -3.2],
    ],
  ],
  configure: [
    [
      [-3.6, -1.8],
      [3.6, -1.8],
    ],
    [
      [-1, -3.4],
      [-1, -0.2],
    ],
    [
      [-3.6, 1.8],
      [3.6, 1.8],
    ],
    [
      [1.4, 0.2],
      [1.4, 3.4],
    ],
  ],
};
const FAILED: readonly Stroke[] = [
  [
    [-2.6, -2.6],
    [2.6, 2.6],
  ],
  [
    [2.6, -2.6],
    [-2.6, 2.6],
  ],
];

/** The sign of an action; that of a failure, whatever it was, when it failed. */
export function actionIcon({ kind, error }: Pick<ActionRecord, "kind" | "error">): readonly Stroke[] {
  return error === undefined ? ICONS[kind] : FAILED;
}
