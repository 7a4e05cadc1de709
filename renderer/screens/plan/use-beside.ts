/** What is drawn beside the plan: another plan's prediction, or what a run of this plan measured. */
import { useMemo } from "react";
import type { Prediction } from "../../../core/planner/predict/prediction.ts";
import type { Work } from "../../../core/schedule/works.ts";
import { usePlan } from "../../state/plan.ts";
import { useRun } from "../../state/run.ts";
import { useSession } from "../../state/session.ts";
import { gpuIndex, measuredStacks, type Stack, stacksOf } from "./chart/bars.ts";
import { predictionOf } from "./evaluation.ts";
import { type Measured, measuredOf } from "./measured.ts";

export interface Beside {
  readonly kind: "plan" | "run";
  readonly name: string;
  readonly stacks: ReadonlyMap<Work, Stack>;
  /** Of each phase, work and memory actions together. */
  readonly seconds: ReadonlyMap<Work, number>;
  /** Of another plan. */
  readonly prediction?: Prediction;
}

/** What the run that has the device measured of this plan, on the GPU at `index` of its kinds. */
export function useMeasured(prediction: Prediction | undefined, index: number): Measured | undefined {
  const run = useSession((store) => store.session?.run);
  const steps = useRun((store) => store.steps);
  return useMemo(
    () => prediction && measuredOf(prediction.plan, prediction.schedule, run, steps, prediction.gpus[index]?.kind),
    [prediction, run, steps, index],
  );
}

/** @param kind Of GPU that is drawn, where a placement has two. */
export function useBeside(prediction: Prediction | undefined, kind: string | undefined): Beside | undefined {
  const other = usePlan((store) => store.other);
  const beside = usePlan((store) => store.beside);
  const measured = useMeasured(prediction, prediction === undefined ? 0 : gpuIndex(prediction, kind));
  return useMemo((): Beside | undefined => {
    if (beside === "run" && measured !== undefined) {
      return {
        kind: "run",
        name: `measured, step ${measured.step}`,
        stacks: measuredStacks(measured.phases),
        seconds: new Map(
          measured.phases.map(({ work, workSeconds, memorySeconds }) => [work, workSeconds + memorySeconds]),
        ),
      };
    }
    const otherPrediction = beside === "plan" && other !== undefined ? predictionOf(other) : undefined;
    if (otherPrediction === undefined) return undefined;
    const index = gpuIndex(otherPrediction, kind);
    return {
      kind: "plan",
      name: nameOf(otherPrediction, index),
      stacks: stacksOf(otherPrediction, index),
      seconds: new Map(
        otherPrediction.phases.map(({ work, workTerm, memorySeconds }) => [work, workTerm.amount + memorySeconds]),
      ),
      prediction: otherPrediction,
    };
  }, [beside, measured, other, kind]);
}

/** With the kind of GPU, where it has two. */
function nameOf({ plan, gpus }: Prediction, index: number): string {
  const gpuKind = gpus[index]?.kind;
  return gpuKind === undefined || gpuKind === "shared" ? plan.name : `${plan.name}, ${GPU_KIND_WORDS[gpuKind]}`;
}

const GPU_KIND_WORDS = { trainer: "a trainer's GPU", engine: "an engine's GPU" } as const;
