/** Gestures do what the hand expects: the point under the pointer stays under it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  clampTo,
  endingAt,
  MIN_SPAN_SECONDS,
  pan,
  pxToTime,
  spanSeconds,
  timeToPx,
  withMargin,
  zoomAbout,
} from "../../../core/timeline/time-scale.ts";

const arbitraryWindow = fc
  .tuple(fc.double({ min: 0, max: 1e5, noNaN: true }), fc.double({ min: 0.01, max: 7200, noNaN: true }))
  .map(([startSeconds, span]) => ({ startSeconds, endSeconds: startSeconds + span }));
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe("time scale", () => {
  it("zooms with the time under the pointer staying at its pixel", () => {
    fc.assert(
      fc.property(arbitraryWindow, share, fc.double({ min: 0.05, max: 20, noNaN: true }), (window, at, factor) => {
        const width = 1000;
        const time = pxToTime(window, width, at * width);
        const zoomed = zoomAbout(window, time, factor);
        expect(timeToPx(zoomed, width, time)).toBeCloseTo(at * width, 3);
        expect(spanSeconds(zoomed)).toBeCloseTo(Math.max(MIN_SPAN_SECONDS, spanSeconds(window) * factor), 6);
      }),
    );
  });

  it("pans without changing the span", () => {
    fc.assert(
      fc.property(arbitraryWindow, fc.double({ min: -1e4, max: 1e4, noNaN: true }), (window, by) => {
        expect(spanSeconds(pan(window, by))).toBeCloseTo(spanSeconds(window), 6);
        expect(endingAt(window, by).endSeconds).toBeCloseTo(by, 6);
      }),
    );
  });

  it("never loses the data, and leaves a window alone that shows some", () => {
    fc.assert(
      fc.property(arbitraryWindow, arbitraryWindow, (window, extent) => {
        const longest = 1.2 * spanSeconds(extent);
        const clamped = clampTo(window, extent, longest);
        expect(spanSeconds(clamped)).toBeLessThanOrEqual(longest * (1 + 1e-9));
        expect(clamped.endSeconds).toBeGreaterThan(extent.startSeconds);
        expect(clamped.startSeconds).toBeLessThan(extent.endSeconds);
        const again = clampTo(clamped, extent, longest);
        expect(again.startSeconds).toBeCloseTo(clamped.startSeconds, 6);
        expect(again.endSeconds).toBeCloseTo(clamped.endSeconds, 6);
      }),
    );
    const inside = { startSeconds: 10, endSeconds: 20 };
    expect(clampTo(inside, { startSeconds: 0, endSeconds: 100 }, 120)).toBe(inside);
  });

  it("makes room around what is fitted, even around a single moment", () => {
    expect(withMargin({ startSeconds: 0, endSeconds: 100 }, 0.1)).toEqual({ startSeconds: -10, endSeconds: 110 });
    expect(spanSeconds(withMargin({ startSeconds: 5, endSeconds: 5 }))).toBeCloseTo(MIN_SPAN_SECONDS);
  });
});
