/** What the figures beside the timeline show of all that a recording knows. */
import { expect, it } from "vitest";
import { readingAt } from "../../../core/timeline/readout.ts";
import type { TimeWindow } from "../../../core/timeline/time-scale.ts";
import { differenceOf, shownConsumers } from "../../../renderer/timeline/shown-figures.ts";
import { TimelineView, type TimelineViewState } from "../../../renderer/timeline/view.ts";
import { row, storeOf } from "../timeline/samples.ts";

/** A run that had a critic, and after it the engine alone; what the device uses beside them grows. */
const timeline = {
  samples: storeOf([
    row(1, 400, { "engine.weights": 100, "critic.weights": 200 }),
    row(2, 300, { "engine.weights": 100, "critic.weights": 0 }),
    row(3, 340, { "engine.weights": 100, "critic.weights": 0 }),
  ]),
  actions: [],
  phases: [],
};

const view = (window: TimeWindow, more: Partial<TimelineViewState> = {}): TimelineViewState => ({
  ...new TimelineView({ isLive: false }).state,
  window,
  ...more,
});

function namesAt(seconds: number, state: TimelineViewState, isLive = true): readonly string[] {
  const reading = readingAt(timeline, seconds);
  if (reading === undefined) throw new Error("the timeline has samples there");
  return shownConsumers(reading, timeline, state, isLive).map(({ consumer }) => consumer);
}

it("lists what is drawn in the window, also where it holds nothing at the moment, and no region that is not", () => {
  const all = { startSeconds: 0.5, endSeconds: 3.5 };
  const afterTheRun = { startSeconds: 2.5, endSeconds: 3.5 };
  expect(namesAt(2.9, view(all))).toContain("critic.weights");
  expect(namesAt(2.9, view(afterTheRun))).not.toContain("critic.weights");
  expect(namesAt(2.9, view(afterTheRun))).toEqual(expect.arrayContaining(["engine.weights", "pool"]));
  // At a cursor outside of the window, what is held there is listed nevertheless.
  expect(namesAt(1.5, view(afterTheRun))).toContain("critic.weights");
});

it("lists nothing that is not drawn: no context among the regions, no pool in a plan that has none", () => {
  const all = { startSeconds: 0.5, endSeconds: 3.5 };
  expect(namesAt(2.9, view(all, { height: "regions" }))).toEqual(["engine.weights", "critic.weights", "pool"]);
  expect(namesAt(2.9, view(all), false)).not.toContain("pool");
});

it("says what changed between the cursors of the figure that is shown beside them", () => {
  const cursors = { cursorA: 2.1, cursorB: 3 };
  const all = { startSeconds: 0.5, endSeconds: 3.5 };
  expect(differenceOf(timeline, view(all, cursors))?.shownBytes).toBe(40);
  expect(differenceOf(timeline, view(all, { ...cursors, height: "regions" }))?.shownBytes).toBe(0);
});
