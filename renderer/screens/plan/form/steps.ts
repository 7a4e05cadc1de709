/** The numbers that sliders of counts stop at: powers of two and what lies in the middle between them. */

const MOST_EXPONENT = 20;

export const STEPS: readonly number[] = [
  1,
  ...Array.from({ length: MOST_EXPONENT }, (_, exponent) => {
    const power = 2 ** (exponent + 1);
    return exponent === MOST_EXPONENT - 1 ? [power] : [power, 1.5 * power];
  }).flat(),
];

/** Index of the step closest to a value, by ratio; the last one for what lies beyond. */
export function nearestStep(steps: readonly number[], value: number): number {
  if (!(value > 0)) return 0;
  let nearest = 0;
  for (const [index, step] of steps.entries()) {
    if (Math.abs(Math.log(step / value)) < Math.abs(Math.log((steps[nearest] ?? 1) / value))) nearest = index;
  }
  return nearest;
}
