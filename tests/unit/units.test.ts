/** Sizes and times as people write and read them; binary and decimal units are never mixed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatBandwidth,
  formatBytes,
  formatSeconds,
  formatShare,
  GIB,
  KIB,
  MIB,
  parseBytes,
  SizeSyntaxError,
} from "../../core/units.ts";

describe("parseBytes", () => {
  it.each([
    ["0", 0],
    ["1048576", 1_048_576],
    ["1GiB", 1_073_741_824],
    ["1 gb", 1_000_000_000],
    ["1.5 g", 1_610_612_736],
    ["512MiB", 536_870_912],
    ["16k", 16_384],
    ["16kb", 16_000],
    [" 7 B ", 7],
    ["0.5KiB", 512],
  ])("reads %j as %d", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each([
    "",
    "  ",
    "-1",
    "+1",
    "1e9",
    "1TiBs",
    "1 GiB GiB",
    "GiB",
    "0x10",
    "1,5GiB",
    "NaN",
    "Infinity",
    "9007199254740993",
    "99999999GiB",
  ])("refuses %j and says what a size is", (text) => {
    expect(() => parseBytes(text)).toThrow(SizeSyntaxError);
    expect(() => parseBytes(text)).toThrow(/is not a size: write bytes .* or a number with KiB, MiB or GiB/);
  });

  it("reads back every whole number of bytes", () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        expect(parseBytes(String(bytes))).toBe(bytes);
      }),
    );
  });
});

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [640, "640 B"],
    [KIB, "1.00 KiB"],
    [12 * MIB, "12.0 MiB"],
    [1.5 * GIB, "1.50 GiB"],
    [80 * GIB, "80.0 GiB"],
    [512 * GIB, "512 GiB"],
    [-3 * MIB, "-3.00 MiB"],
    [1e9, "954 MiB"],
  ])("writes %d as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it("stays within half a unit of its last digit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (bytes) => {
        expect(Math.abs(parseBytes(formatBytes(bytes)) - bytes) / bytes).toBeLessThanOrEqual(0.0051);
      }),
    );
  });
});

describe("formatSeconds", () => {
  it.each([
    [0.00085, "850 µs"],
    [0.0123, "12.3 ms"],
    [0.25, "250 ms"],
    [4.56, "4.56 s"],
    [42.04, "42.0 s"],
    [185, "3 min 05 s"],
    [3600, "60 min 00 s"],
  ])("writes %d as %s", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});

describe("formatBandwidth", () => {
  it.each([
    [2_610_000_000, "2.61 GB/s"],
    [50e9, "50.0 GB/s"],
    [3.35e12, "3350 GB/s"],
    [685_400_000, "685 MB/s"],
    [1000, "1.00 kB/s"],
  ])("writes %d as %s: powers of ten, as makers of links do", (bytesPerSecond, text) => {
    expect(formatBandwidth(bytesPerSecond)).toBe(text);
  });
});

describe("formatShare", () => {
  it.each([
    [0.58, "58 %"],
    [0.042, "4.2 %"],
    [0.0994, "9.9 %"],
    [-0.03, "-3.0 %"],
    [0, "0.0 %"],
  ])("%s is %s", (share, text) => {
    expect(formatShare(share)).toBe(text);
  });
});
