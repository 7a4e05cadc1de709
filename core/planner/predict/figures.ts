/** What the exports take from a prediction. */
import type { PredictedFigures } from "../export/figures.ts";
import type { Prediction } from "./prediction.ts";

/** Where kinds of GPUs differ, each phase is told of those that do its work. */
export function figuresOf({ capacityBytes, gpus, phases, engine }: Prediction): PredictedFigures {
  return {
    gpuBytes: capacityBytes,
    phases: phases.map(({ work, peaks }) => {
      const kind = work === "rollout" || work === "update_weights" ? "engine" : "trainer";
      const index = gpus.findIndex((gpu) => gpu.kind === kind || gpu.kind === "shared");
      const holders = peaks[index]?.holders ?? [];
      return { work, bytes: Object.fromEntries(holders.map(({ consumer, bytes }) => [consumer, bytes])) };
    }),
    engine,
  };
}
