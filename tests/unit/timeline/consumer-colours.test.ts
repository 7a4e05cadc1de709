/**
 * The palette is measured, not trusted: WCAG contrast on the chart's surface, and distance in OKLab as seen with and
 * without each kind of cone (matrices of Machado, Oliveira and Fernandes 2009, severity 1).
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type ColourScheme, consumerColour, consumerTexture } from "../../../core/timeline/consumer-colours.ts";
import { STACK_ORDER } from "../../../core/timeline/stack.ts";

type Vector = readonly [number, number, number];

const VISION: Readonly<Record<string, readonly [Vector, Vector, Vector]>> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

const linear = (part: number): number => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
const rgb = (hex: string): Vector => {
  const part = (at: number): number => linear(Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  return [part(1), part(3), part(5)];
};
const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const luminance = (hex: string): number => dot(rgb(hex), [0.2126, 0.7152, 0.0722]);
const contrast = (a: string, b: string): number => {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const oklab = (c: Vector): Vector => {
  const l = Math.cbrt(dot(c, [0.4122214708, 0.5363325363, 0.0514459929]));
  const m = Math.cbrt(dot(c, [0.2119034982, 0.6806995451, 0.1073969566]));
  const s = Math.cbrt(dot(c, [0.0883024619, 0.2817188376, 0.6299787005]));
  const lms: Vector = [l, m, s];
  return [
    dot(lms, [0.2104542553, 0.793617785, -0.0040720468]),
    dot(lms, [1.9779984951, -2.428592205, 0.4505937099]),
    dot(lms, [0.0259040371, 0.7827717662, -0.808675766]),
  ];
};
const difference = (a: string, b: string, vision: readonly [Vector, Vector, Vector]): number => {
  const see = (hex: string): Vector => {
    const channel = (row: Vector): number => Math.min(1, Math.max(0, dot(row, rgb(hex))));
    return oklab([channel(vision[0]), channel(vision[1]), channel(vision[2])]);
  };
  const [x, y] = [see(a), see(b)];
  return 100 * Math.hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]);
};

/** The chart's surface as the theme sets it. */
function surface(scheme: ColourScheme): string {
  const css = readFileSync(new URL("../../../renderer/theme/theme.css", import.meta.url), "utf8");
  const block = css.slice(css.indexOf(`data-theme="${scheme}"`));
  return /--surface-1:\s*(#[0-9a-f]{6})/.exec(block)?.[1] ?? "";
}

describe.each(["light", "dark"] as const)("consumer colours, %s", (scheme) => {
  it("stand out from the chart's surface by 3:1", () => {
    for (const consumer of STACK_ORDER) {
      expect(contrast(consumerColour(consumer, scheme), surface(scheme)), consumer).toBeGreaterThanOrEqual(3);
    }
  });

  it.each(Object.entries(VISION))(
    "differ from their neighbours in the stack, and from all others, with %s",
    (_, vision) => {
      const plain = STACK_ORDER.filter((consumer) => consumerTexture(consumer) === "solid");
      plain.forEach((consumer, index) => {
        for (const other of plain.slice(index + 1)) {
          const isNeighbour = other === plain[index + 1];
          const distance = difference(consumerColour(consumer, scheme), consumerColour(other, scheme), vision);
          expect(distance, `${consumer} and ${other}`).toBeGreaterThan(isNeighbour ? 6 : 3.5);
        }
      });
    },
  );

  it("has a colour for a consumer it does not know", () => {
    expect(contrast(consumerColour("something.else", scheme), surface(scheme))).toBeGreaterThanOrEqual(3);
  });
});
