/** Axis lines are where people expect them, and their labels say what is there. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  byteTicks,
  formatByteTick,
  formatClock,
  formatRelative,
  numberTicks,
  timeTicks,
} from "../../../core/timeline/ticks.ts";
import { GIB, MIB } from "../../../core/units.ts";

describe("time ticks", () => {
  it("are few, evenly spaced and inside the window", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.double({ min: 0.005, max: 1e6, noNaN: true }),
        fc.integer({ min: 2, max: 20 }),
        (startSeconds, span, count) => {
          const window = { startSeconds, endSeconds: startSeconds + span };
          const { times, stepSeconds } = timeTicks(window, count, 0);
          expect(times.length).toBeLessThanOrEqual(count + 1);
          for (const time of times) {
            expect(time).toBeGreaterThanOrEqual(startSeconds - stepSeconds * 1e-6);
            expect(time).toBeLessThanOrEqual(startSeconds + span + stepSeconds * 1e-6);
          }
        },
      ),
    );
  });

  it("step by 1, 2, 5 below a second and like clocks above", () => {
    const step = (span: number) => timeTicks({ startSeconds: 0, endSeconds: span }, 10, 0).stepSeconds;
    expect([0.01, 0.02, 0.04, 0.1].map(step).map((value) => Number(value.toPrecision(6)))).toEqual([
      0.001, 0.002, 0.005, 0.01,
    ]);
    expect([10, 15, 120, 600, 3600, 36_000].map(step)).toEqual([1, 2, 15, 60, 600, 3600]);
  });

  it("count from the origin that they are labelled with", () => {
    expect(timeTicks({ startSeconds: 100.4, endSeconds: 104.4 }, 4, 100.5).times).toEqual([100.5, 101.5, 102.5, 103.5]);
  });

  it("are labelled with the digits their step needs", () => {
    expect(formatRelative(12, 1)).toBe("12 s");
    expect(formatRelative(0.25, 0.05)).toBe("0.25 s");
    expect(formatRelative(-0.25, 0.05)).toBe("−0.25 s");
    expect(formatRelative(123, 1)).toBe("2:03");
    expect(formatRelative(59.999, 1)).toBe("1:00");
    expect(formatRelative(3723.5, 0.5)).toBe("1:02:03.5");
    expect(formatClock(new Date(2026, 0, 2, 14, 3, 7).getTime() / 1000 + 0.25, 0.05)).toBe("14:03:07.25");
  });
});

describe("byte ticks", () => {
  it("are powers of two, so that an 80 GiB card has a line at 80 GiB", () => {
    const ticks = byteTicks(86 * GIB, 6);
    expect(ticks.map(formatByteTick)).toEqual(["0", "16 GiB", "32 GiB", "48 GiB", "64 GiB", "80 GiB"]);
    expect(byteTicks(300 * MIB, 5).map(formatByteTick)).toEqual(["0", "64 MiB", "128 MiB", "192 MiB", "256 MiB"]);
  });

  it("never exceed what was asked for", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 45 }), fc.integer({ min: 1, max: 12 }), (maxBytes, count) => {
        const ticks = byteTicks(maxBytes, count);
        expect(ticks.length).toBeLessThanOrEqual(count + 1);
        expect(ticks[0]).toBe(0);
        expect(ticks.at(-1)).toBeLessThanOrEqual(maxBytes);
        expect(Number.isInteger(Math.log2(ticks[1] ?? 1))).toBe(true);
      }),
    );
  });
});

describe("number ticks", () => {
  it("enclose what is drawn, in steps of 1, 2 or 5", () => {
    expect(numberTicks(0.371, 0.934, 4)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(numberTicks(-0.0235, -0.0038, 4)).toEqual([-0.025, -0.02, -0.015, -0.01, -0.005, 0]);
    expect(numberTicks(1, 30, 6)).toEqual([0, 5, 10, 15, 20, 25, 30]);
  });

  it("have room for a number that never changes", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (value) => {
        const ticks = numberTicks(value, value, 4);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(new Set(ticks).size).toBe(ticks.length);
        const slack = 1e-12 + 1e-9 * Math.abs(value);
        expect(ticks[0]).toBeLessThanOrEqual(value + slack);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(value - slack);
      }),
    );
  });
});
