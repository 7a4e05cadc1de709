/** Outlines of the stack: what is drawn is exactly what the rows say, in as few points as that takes. */
import { expect, it } from "vitest";
import { binRows, highestRows } from "../../../core/timeline/bins.ts";
import { bandsOf } from "../../../core/timeline/stack.ts";
import { bandEdges, Columns, type PathSink, traceArea, traceEdge } from "../../../core/timeline/step-area.ts";
import { row, storeOf } from "./samples.ts";

/** A path as one reads it. */
function traced(trace: (path: PathSink) => void): string {
  const parts: string[] = [];
  trace({
    moveTo: (x, y) => parts.push(`M${x},${y}`),
    lineTo: (x, y) => parts.push(`L${x},${y}`),
    closePath: () => parts.push("Z"),
  });
  return parts.join(" ");
}

// Four columns of a second, 10 px wide; one pixel per byte in a plot of 100.
const STORE = storeOf([
  row(0, 0, { "engine.weights": 40 }),
  row(1, 0, { "engine.weights": 40 }),
  row(2, 0, { "engine.weights": 20 }),
  row(3, 0, { "engine.weights": 0 }),
]);
const COLUMNS = new Columns(highestRows(STORE, binRows(STORE, { startSeconds: 0, binSeconds: 1, count: 4 })), 0, 10);

function edges() {
  const band = bandsOf(STORE).find(({ consumer }) => consumer === "engine.weights");
  if (band === undefined) throw new Error("the band is missing");
  return bandEdges(STORE, COLUMNS, band, new Float64Array(4).fill(100), 1);
}

it("a band is as high as it is committed, and filled as high as it is in use", () => {
  const { upper, inUse, isEmpty, isFull } = edges();
  expect([...upper]).toEqual([60, 60, 80, 100]);
  expect([...inUse]).toEqual([64, 64, 82, 100]);
  expect({ isEmpty, isFull }).toEqual({ isEmpty: false, isFull: false });
});

it("its area goes up and down in steps, its edge ends where it has no height", () => {
  const lower = new Float64Array(4).fill(100);
  const { upper } = edges();
  expect(traced((path) => traceArea(path, COLUMNS, lower, upper))).toBe(
    "M0,100 L0,60 L20,60 L20,80 L30,80 L30,100 L40,100 L40,100 Z",
  );
  expect(traced((path) => traceEdge(path, COLUMNS, lower, upper))).toBe("M0,60 L20,60 L20,80 L30,80");
});
