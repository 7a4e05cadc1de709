/** What the exports take from a prediction. */
import type { PredictedFigures } from "../export/figures.ts";
import type { ConsumerBytes, PhasePeak, Prediction } from "./prediction.ts";

/** Where kinds of GPUs differ, each phase is told of those that do its work. */
export function figuresOf({ capacityBytes, gpus, phases, engine }: Prediction): PredictedFigures {
  return {
    gpuBytes: capacityBytes,
    phases: phases.map(({ work, peaks }) => {
      const kind = work === "rollout" || work === "update_weights" ? "engine" : "trainer";
      const index = gpus.findIndex((gpu) => gpu.kind === kind || gpu.kind === "shared");
      return { work, bytes: holdersOf(peaks[index]) };
    }),
    engine,
  };
}

/** A peak without its reasons: bytes by consumer. */
export function holdersOf(peak: PhasePeak | undefined): ConsumerBytes {
  return Object.fromEntries(peak?.holders.map(({ consumer, bytes }) => [consumer, bytes]) ?? []);
}
