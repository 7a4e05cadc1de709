/** The kinds of GPUs of a placement: those of one kind hold the same. */
import { GPU_GROUPS, type GpuGroup } from "../memory/footprint.ts";
import { layoutOf, type Placement } from "../plan.ts";
import type { PredictedGpu } from "./prediction.ts";

export interface GpuKind {
  readonly kind: PredictedGpu["kind"];
  readonly count: number;
  readonly groups: readonly GpuGroup[];
}

export function gpuKinds(placement: Placement): readonly GpuKind[] {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  if (placement.kind === "colocated") return [{ kind: "shared", count: trainerGpus, groups: GPU_GROUPS }];
  return [
    { kind: "trainer", count: trainerGpus, groups: ["trainer"] },
    { kind: "engine", count: engineGpus, groups: ["engine"] },
  ];
}
