/**
 * Phases as they fit over the timeline: where those of a step would be slivers the step is one band, and where steps would
 * be, several steps are. How many depends on the scale alone, so that panning does not regroup what is seen.
 */
import { spanSeconds, type TimeWindow } from "./time-scale.ts";
import type { Phase } from "./timeline.ts";

/** Narrower phases become their step. */
const PHASE_PX = 14;
/** Narrower steps become several. */
const STEPS_PX = 72;

/** Phases as bands for a window that is `widthPx` wide: all of them, in order of time, so that a band keeps its number. */
export function phaseBands(phases: readonly Phase[], window: TimeWindow, widthPx: number): readonly Phase[] {
  const pxPerSecond = widthPx / spanSeconds(window);
  const visible = phases.filter(
    ({ startSeconds, endSeconds }) =>
      startSeconds <= window.endSeconds && (endSeconds ?? window.endSeconds) >= window.startSeconds,
  );
  const { phaseSeconds, stepSeconds } = usualSeconds(visible);
  if (phaseSeconds * pxPerSecond >= PHASE_PX) return phases;
  const together = 2 ** Math.max(0, Math.ceil(Math.log2(STEPS_PX / Math.max(1e-9, stepSeconds * pxPerSecond))));
  return merged(phases, (step) => Math.floor(step / together));
}

/** Of a phase the median: one that somebody stopped in for a minute says nothing about the others. */
function usualSeconds(phases: readonly Phase[]): { readonly phaseSeconds: number; readonly stepSeconds: number } {
  const seconds = phases
    .map(({ startSeconds, endSeconds }) => (endSeconds ?? startSeconds) - startSeconds)
    .sort((one, other) => one - other);
  const phaseSeconds = seconds[Math.floor(seconds.length / 2)] ?? 0;
  const steps = phases.filter(({ step }, index) => index === 0 || step !== phases[index - 1]?.step).length;
  return { phaseSeconds, stepSeconds: (phaseSeconds * phases.length) / Math.max(1, steps) };
}

/** Several steps as one band, which is not finished while steps of its group may follow. */
interface OpenBand {
  readonly index: number;
  readonly group: number;
  readonly firstStep: number;
  lastStep: number;
}

function merged(phases: readonly Phase[], groupOf: (step: number) => number): readonly Phase[] {
  const bands: Phase[] = [];
  let open: OpenBand | undefined;
  for (const phase of phases) {
    const { step, startSeconds, endSeconds } = phase;
    const band = open && bands[open.index];
    if (step === undefined) {
      bands.push(phase);
      open = undefined;
    } else if (open === undefined || band === undefined || open.group !== groupOf(step) || step < open.lastStep) {
      // A step before the last one is of another run.
      open = { index: bands.length, group: groupOf(step), firstStep: step, lastStep: step };
      bands.push({ ...phase, name: stepsName(step, step) });
    } else {
      open.lastStep = step;
      const name = stepsName(open.firstStep, step);
      bands[open.index] = { ...band, name, startSeconds: Math.min(band.startSeconds, startSeconds), endSeconds };
    }
  }
  return bands;
}

/** Steps are counted from 0, and for people from 1. */
function stepsName(first: number, last: number): string {
  return first === last ? `step ${first + 1}` : `steps ${first + 1}–${last + 1}`;
}
