/** Markers fit on their lane, however many actions there are. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layOutMarkers } from "../../../core/timeline/markers.ts";
import { action } from "./samples.ts";

const SIZE = 20;
const WIDTH = 500;
const WINDOW = { startSeconds: 0, endSeconds: 100 };

/** A whole run at full speed: `perSecond` actions a second from `from` to `to`. */
function busy(perSecond: number, from: number, to: number) {
  const count = Math.round((to - from) * perSecond);
  return Array.from({ length: count }, (_, id) => action(id, from + id / perSecond));
}

describe("markers", () => {
  it("do not overlap, lose no action, and never hide a failure", () => {
    const times = fc.oneof(
      fc.array(fc.double({ min: 0, max: 90, noNaN: true }), { maxLength: 60 }),
      // Crowds, at the edges of the window too.
      fc.array(fc.double({ min: 0, max: 6, noNaN: true }), { minLength: 100, maxLength: 400 }),
      fc.array(fc.double({ min: 90, max: 100, noNaN: true }), { minLength: 100, maxLength: 400 }),
    );
    fc.assert(
      fc.property(times, fc.nat(400), (moments, failing) => {
        const sorted = moments
          .toSorted((a, b) => a - b)
          .map((time, id) => action(id, time, id === failing ? { error: { code: "busy", message: "busy" } } : {}));
        const markers = layOutMarkers(sorted, WINDOW, WIDTH, SIZE);
        expect(markers.flatMap((marker) => marker.actions)).toEqual(sorted);
        markers.forEach((marker, index) => {
          expect(marker.hasFailure).toBe(marker.actions.some((one) => one.error !== undefined));
          const next = markers[index + 1];
          if (next === undefined) return;
          // Rounding of places of many digits.
          expect(next.px - marker.px).toBeGreaterThanOrEqual((marker.roomPx + next.roomPx) / 2 - 1e-6);
        });
      }),
    );
  });

  it("are where their action is while there is room, and fewer with room for a large count in a crowd", () => {
    const [alone, second] = layOutMarkers([action(0, 10), action(1, 20)], WINDOW, WIDTH, SIZE);
    expect([alone?.px, second?.px]).toEqual([50, 100]);
    const crowd = layOutMarkers(busy(100, 0, 100), WINDOW, WIDTH, SIZE);
    expect(crowd.length).toBeLessThanOrEqual(WIDTH / (4 * SIZE) + 1);
    for (const { roomPx } of crowd) expect(roomPx).toBe(2 * SIZE);
  });

  it("stay the same groups while the view is panned", () => {
    // As Unix times, of which the oldest are dropped meanwhile.
    const actions = busy(30.1, 1.8e9, 1.8e9 + 300);
    const groups = (startSeconds: number) =>
      layOutMarkers(
        actions.filter(({ timeSeconds }) => timeSeconds >= 1.8e9 + startSeconds / 3),
        { startSeconds: 1.8e9 + startSeconds, endSeconds: 1.8e9 + startSeconds + 100 },
        WIDTH,
        SIZE,
      ).map((marker) => marker.actions.map(({ id }) => id).join());
    const before = groups(50);
    const after = groups(57.3);
    const shared = after.filter((group) => before.includes(group));
    expect(shared.length).toBeGreaterThanOrEqual(after.length - 3);
    expect(shared.length).toBeGreaterThan(3);
  });
});
