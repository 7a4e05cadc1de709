/** The bars of a plan as data and as geometry: a stack per phase, and the stack beside it. Pure; drawing is chart.tsx's. */
import { CONSUMERS, type Consumer } from "../../../../core/consumers.ts";
import type { PredictedHolder, Prediction } from "../../../../core/planner/predict/prediction.ts";
import type { Term } from "../../../../core/planner/provenance.ts";
import type { PhaseRecord } from "../../../../core/run/records.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { STACK_ORDER } from "../../../../core/timeline/stack.ts";
import { byteTicks } from "../../../../core/timeline/ticks.ts";

export interface Holder {
  readonly consumer: Consumer;
  readonly bytes: number;
  /** Of what is predicted. */
  readonly terms: readonly Term[];
}

export interface Stack {
  readonly bytes: number;
  /** From the bottom up. */
  readonly holders: readonly Holder[];
}

export interface PhaseBars {
  readonly work: Work;
  readonly own: Stack;
  readonly beside: Stack | undefined;
  readonly workSeconds: number;
  readonly memorySeconds: number;
}

/** Which of a prediction's kinds of GPUs to draw: the one asked for where there is one, else the fullest. */
export function gpuIndex({ gpus, fullest }: Prediction, kind: string | undefined): number {
  const asked = gpus.findIndex((gpu) => gpu.kind === kind);
  return asked >= 0 ? asked : gpus.indexOf(fullest);
}

/** The stacks of a prediction by work. */
export function stacksOf({ phases }: Prediction, index: number): ReadonlyMap<Work, Stack> {
  return new Map(
    phases.map(({ work, peaks }) => {
      const peak = peaks[index];
      return [work, { bytes: peak?.bytes ?? 0, holders: inOrder(peak?.holders ?? []) }];
    }),
  );
}

/** The stacks that a run measured. */
export function measuredStacks(records: readonly PhaseRecord[]): ReadonlyMap<Work, Stack> {
  return new Map(
    records.map(({ work, peakBytes, holders }) => {
      const held = CONSUMERS.flatMap((consumer): readonly Holder[] => {
        const bytes = Object.entries(holders).find(([name]) => name === consumer)?.[1] ?? 0;
        return bytes === 0 ? [] : [{ consumer, bytes, terms: [] }];
      });
      return [work, { bytes: peakBytes, holders: inOrder(held) }];
    }),
  );
}

export function phaseBars(
  prediction: Prediction,
  index: number,
  beside: ReadonlyMap<Work, Stack> | undefined,
): readonly PhaseBars[] {
  const own = stacksOf(prediction, index);
  return prediction.phases.map(({ work, workTerm, memorySeconds }) => ({
    work,
    own: own.get(work) ?? { bytes: 0, holders: [] },
    beside: beside?.get(work),
    workSeconds: workTerm.amount,
    memorySeconds,
  }));
}

/** The same order as on the timeline. */
const ORDER: readonly string[] = STACK_ORDER;

function inOrder(holders: readonly (PredictedHolder | Holder)[]): readonly Holder[] {
  return holders.toSorted((one, other) => ORDER.indexOf(one.consumer) - ORDER.indexOf(other.consumer));
}

/** Consumers of any of the stacks, from the bottom up. */
export function consumersOf(phases: readonly PhaseBars[]): readonly Consumer[] {
  const present = new Set(
    phases.flatMap(({ own, beside }) => [...own.holders, ...(beside?.holders ?? [])].map(({ consumer }) => consumer)),
  );
  return [...present].toSorted((one, other) => ORDER.indexOf(one) - ORDER.indexOf(other));
}

// ---------------------------------------------------------------------------------------------------------------------
// Geometry

export const MARGIN = { top: 22, right: 10, bottom: 62, left: 58 } as const;
const WIDEST_BAR_PX = 76;
const TICKS = 6;

export interface Segment extends Holder {
  readonly y: number;
  readonly height: number;
}

export interface BarGeometry {
  readonly x: number;
  readonly width: number;
  readonly segments: readonly Segment[];
  /** Of the whole stack. */
  readonly top: number;
  /** The part beyond the capacity; what lies beside may have another. */
  readonly excess: number;
  readonly bytes: number;
}

export interface ColumnGeometry {
  readonly phase: PhaseBars;
  readonly x: number;
  readonly width: number;
  readonly bars: readonly [own: BarGeometry, beside?: BarGeometry];
}

export interface ChartGeometry {
  readonly width: number;
  readonly height: number;
  readonly bottom: number;
  readonly ticks: readonly { readonly bytes: number; readonly y: number }[];
  readonly capacityY: number;
  /** Where the margin that should stay free begins. */
  readonly marginY: number;
  readonly columns: readonly ColumnGeometry[];
}

export function geometryOf(
  phases: readonly PhaseBars[],
  limits: { readonly capacityBytes: number; readonly marginBytes: number },
  size: { readonly width: number; readonly height: number },
): ChartGeometry {
  const { width, height } = size;
  const bottom = Math.max(MARGIN.top + 1, height - MARGIN.bottom);
  const plotHeight = bottom - MARGIN.top;
  const highest = Math.max(
    limits.capacityBytes,
    ...phases.map(({ own, beside }) => Math.max(own.bytes, beside?.bytes ?? 0)),
  );
  const topBytes = highest * 1.04;
  const y = (bytes: number) => bottom - (bytes / topBytes) * plotHeight;
  const capacityY = y(limits.capacityBytes);

  const band = (width - MARGIN.left - MARGIN.right) / Math.max(1, phases.length);
  const hasBeside = phases.some(({ beside }) => beside !== undefined);
  const barWidth = Math.min(WIDEST_BAR_PX, Math.max(4, band * (hasBeside ? 0.37 : 0.64)));
  const gap = 2;

  const barOf = ({ bytes, holders }: Stack, x: number): BarGeometry => {
    let below = 0;
    const segments = holders.map((holder): Segment => {
      const top = y(below + holder.bytes);
      const segment = { ...holder, y: top, height: y(below) - top };
      below += holder.bytes;
      return segment;
    });
    const top = y(bytes);
    return { x, width: barWidth, segments, top, excess: 0, bytes };
  };

  return {
    width,
    height,
    bottom,
    ticks: byteTicks(topBytes, TICKS).map((bytes) => ({ bytes, y: y(bytes) })),
    capacityY,
    marginY: y(limits.capacityBytes - limits.marginBytes),
    columns: phases.map((phase, index) => {
      const x = MARGIN.left + index * band;
      const taken = hasBeside ? 2 * barWidth + gap : barWidth;
      const first = x + (band - taken) / 2;
      const stack = barOf(phase.own, first);
      const own = { ...stack, excess: Math.max(0, capacityY - stack.top) };
      return {
        phase,
        x,
        width: band,
        bars: phase.beside === undefined ? [own] : [own, barOf(phase.beside, first + barWidth + gap)],
      };
    }),
  };
}
