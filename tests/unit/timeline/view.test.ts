/** What keys and gestures do to the view: following, pausing without losing data, fitting, selecting an action. */
import { beforeEach, describe, expect, it } from "vitest";
import { readingAt } from "../../../core/timeline/readout.ts";
import { spanSeconds } from "../../../core/timeline/time-scale.ts";
import { timelineCommands } from "../../../renderer/timeline/commands.ts";
import { DEFAULT_SPAN_SECONDS, TimelineView } from "../../../renderer/timeline/view.ts";
import { action, row, storeOf } from "./samples.ts";

const PX = 1000;

/** 300 s at 10 Hz. */
const samples = storeOf(Array.from({ length: 3001 }, (_, i) => row(1000 + i / 10, i < 2000 ? 200 : 100)));
const timeline = { samples, actions: [], phases: [] };

/** Frames until glides have ended. */
function settle(view: TimelineView, fromSeconds = 0): void {
  for (let frame = 0; frame < 120; frame++) view.advance(fromSeconds + frame / 60, PX, false);
}

function run(view: TimelineView, id: string): void {
  const command = timelineCommands(view).find((candidate) => candidate.id === `timeline.${id}`);
  expect(command?.refused).toBeUndefined();
  void command?.run();
}

describe("a live view", () => {
  let view: TimelineView;
  beforeEach(() => {
    view = new TimelineView({ isLive: true });
    view.attach(timeline);
    view.advance(0, PX, false);
  });

  it("ends at the newest sample and moves on with the clock", () => {
    expect(view.state.window.endSeconds).toBeCloseTo(1300);
    view.advance(0.5, PX, false);
    expect(view.state.window.endSeconds).toBeCloseTo(1300.5);
  });

  it("begins at the left, and moves once there is more than it shows", () => {
    const first = storeOf([row(1000, 100), row(1004, 100)]);
    view = new TimelineView({ isLive: true });
    view.attach({ samples: first, actions: [], phases: [] });
    view.advance(0, PX, false);
    expect(view.state.window).toEqual({ startSeconds: 1000, endSeconds: 1000 + DEFAULT_SPAN_SECONDS });
    view.zoom(1010, 0.1);
    view.advance(0.1, PX, false);
    expect(view.state.window.endSeconds).toBeCloseTo(1004.1);
    expect(spanSeconds(view.state.window)).toBeCloseTo(DEFAULT_SPAN_SECONDS / 10);
  });

  it("stops when paused, says how far it is behind, and follows again", () => {
    run(view, "pause");
    const before = view.state.window;
    settle(view);
    expect(view.state.window).toBe(before);
    view.panBy(-0.5);
    expect(view.behindSeconds()).toBeCloseTo(DEFAULT_SPAN_SECONDS / 2);
    run(view, "follow");
    settle(view);
    expect(view.state.window.endSeconds).toBeGreaterThanOrEqual(1300);
    expect(view.behindSeconds()).toBe(0);
  });

  it("reads what is under the pointer while the picture moves under it", () => {
    view.hover(0.5);
    expect(view.state.hoverSeconds).toBeCloseTo(1300 - DEFAULT_SPAN_SECONDS / 2);
    view.advance(1, PX, false);
    expect(view.state.hoverSeconds).toBeCloseTo(1301 - DEFAULT_SPAN_SECONDS / 2);
    view.hover(undefined);
    expect(view.state.hoverSeconds).toBeUndefined();
  });

  it("zooms about the live edge without letting go, and lets go when moved", () => {
    view.zoom(1250, 0.5);
    expect(view.state.isFollowing).toBe(true);
    expect(spanSeconds(view.state.window)).toBeCloseTo(DEFAULT_SPAN_SECONDS / 2);
    expect(view.state.window.endSeconds).toBeCloseTo(1300);
    run(view, "pan_left");
    expect(view.state.isFollowing).toBe(false);
  });

  it("comes back with reset", () => {
    view.show({ startSeconds: 1050, endSeconds: 1051 });
    run(view, "reset");
    settle(view);
    expect(view.state.isFollowing).toBe(true);
    expect(spanSeconds(view.state.window)).toBeCloseTo(DEFAULT_SPAN_SECONDS);
  });
});

describe("a recording's view", () => {
  let view: TimelineView;
  beforeEach(() => {
    view = new TimelineView({ isLive: false });
    view.attach(timeline);
  });

  it("shows all of it first", () => {
    expect(view.state.window.startSeconds).toBeLessThan(1000);
    expect(view.state.window.endSeconds).toBeGreaterThan(1300);
  });

  it("keeps the time under the pointer when it zooms", () => {
    const { window } = view.state;
    const at = (time: number) => (time - view.state.window.startSeconds) / spanSeconds(view.state.window);
    const before = at(1100);
    view.zoom(1100, 0.3);
    expect(at(1100)).toBeCloseTo(before, 9);
    expect(spanSeconds(view.state.window)).toBeLessThan(spanSeconds(window));
  });

  it("fits what lies between the cursors, else everything", () => {
    view.setCursors(1150, 1100);
    run(view, "fit");
    settle(view);
    expect(view.state.window).toEqual({ startSeconds: 1095, endSeconds: 1155 });
    run(view, "clear_cursors");
    run(view, "fit");
    settle(view);
    expect(spanSeconds(view.state.window)).toBeGreaterThan(300);
  });

  it("selects an action so that the difference between the cursors is what it did", () => {
    view.show({ startSeconds: 1000, endSeconds: 1010 });
    view.select(action(1, 1200, { milliseconds: 100 }));
    settle(view);
    const { cursorA = 0, cursorB = 0, window } = view.state;
    expect(readingAt(timeline, cursorA)?.usedBytes).toBe(200);
    expect(readingAt(timeline, cursorB)?.usedBytes).toBe(100);
    expect(window.startSeconds).toBeLessThan(1200);
    expect(window.endSeconds).toBeGreaterThan(1200);
  });

  it("selects an action that was sampled late with the cursor where it was", () => {
    const late = { samples: storeOf([row(1000, 200), row(1000.5, 100), row(1001, 100)]), actions: [], phases: [] };
    view.attach(late);
    view.select(action(1, 1000.1, { milliseconds: 1 }));
    expect(readingAt(late, view.state.cursorA ?? 0)?.usedBytes).toBe(200);
    expect(readingAt(late, view.state.cursorB ?? 0)?.usedBytes).toBe(100);
  });

  it("moves cursors by keys", () => {
    view.moveCursor(10, PX, false);
    const first = view.state.cursorA ?? Number.NaN;
    view.moveCursor(10, PX, false);
    expect((view.state.cursorA ?? 0) - first).toBeCloseTo((10 / PX) * spanSeconds(view.state.window));
    view.moveCursor(-10, PX, true);
    expect(view.state.cursorB).toBeLessThan(view.state.cursorA ?? 0);
  });

  it("cannot be paused: nothing arrives", () => {
    expect(timelineCommands(view).find(({ id }) => id === "timeline.pause")?.refused).toMatch(/recording/);
  });
});
