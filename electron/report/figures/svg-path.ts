/** The text of an SVG path. Coordinates keep a tenth of a pixel: a report with ten thousand points stays small. */
import type { PathSink } from "../../../core/timeline/step-area.ts";

export class SvgPath implements PathSink {
  #parts: string[] = [];
  #x = Number.NaN;
  #y = Number.NaN;

  moveTo(x: number, y: number): void {
    this.#x = rounded(x);
    this.#y = rounded(y);
    this.#parts.push(`M${this.#x} ${this.#y}`);
  }

  lineTo(x: number, y: number): void {
    const [toX, toY] = [rounded(x), rounded(y)];
    if (toX === this.#x && toY === this.#y) return;
    if (toY === this.#y) this.#parts.push(`H${toX}`);
    else if (toX === this.#x) this.#parts.push(`V${toY}`);
    else this.#parts.push(`L${toX} ${toY}`);
    this.#x = toX;
    this.#y = toY;
  }

  closePath(): void {
    this.#parts.push("Z");
  }

  toString(): string {
    return this.#parts.join("");
  }
}

/** The text of what is traced. */
export function pathOf(trace: (path: SvgPath) => void): string {
  const path = new SvgPath();
  trace(path);
  return path.toString();
}

export function rounded(px: number): number {
  return Math.round(px * 10) / 10;
}
