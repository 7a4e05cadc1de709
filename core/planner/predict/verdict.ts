/** Whether a plan fits, in one sentence that a person can repeat. */
import { formatBytes } from "../../units.ts";
import type { ResolvedPlan } from "../resolve.ts";
import type { Fit, PredictedGpu } from "./prediction.ts";

/** Of the card: what PyTorch's allocator holds beyond what it was asked for, and what no model knows. */
const MARGIN_SHARE = 0.05;

/** The embedded engine's regions have exactly the sizes that are planned. */
export function marginBytesOf({ backend, gpu }: ResolvedPlan): number {
  return backend === "embedded" ? 0 : Math.round(gpu.totalBytes.value * MARGIN_SHARE);
}

export function fitOf({ headroomBytes }: PredictedGpu, marginBytes: number): Fit {
  if (headroomBytes < 0) return "exceeds";
  return headroomBytes < marginBytes ? "tight" : "fits";
}

const KINDS = { shared: "", trainer: " of a trainer's GPU", engine: " of an engine's GPU" } as const;

export function verdictOf(
  gpu: PredictedGpu,
  capacityBytes: number,
  marginBytes: number,
  severalKinds: boolean,
): string {
  const { peakBytes, peakWork, headroomBytes, kind } = gpu;
  const where = severalKinds ? KINDS[kind] : "";
  const peak = `${formatBytes(peakBytes)} of ${formatBytes(capacityBytes)}${where} in ${peakWork}`;
  switch (fitOf(gpu, marginBytes)) {
    case "fits":
      return `Fits: at most ${peak}, ${formatBytes(headroomBytes)} to spare.`;
    case "tight":
      return `Tight: at most ${peak}; the ${formatBytes(headroomBytes)} left may go to fragmentation.`;
    case "exceeds":
      return `Does not fit: ${peak}, ${formatBytes(-headroomBytes)} too much.`;
  }
}
