/** The memory flag of an engine, how it was computed, and what stands in its way. */
import { formatBytes } from "../../units.ts";
import { present } from "./command.ts";
import type { PredictedFigures } from "./figures.ts";
import { type EngineStart, freeBeforeWeightsBytes, gpuMemoryUtilization, memFractionStatic } from "./fractions.ts";
import type { Unexpressed } from "./unexpressed.ts";

export interface Budget {
  /** Left out where no fraction could say it. */
  readonly fraction?: number;
  readonly unexpressed: readonly Unexpressed[];
  readonly note: string;
}

export function sglangBudget({ gpuBytes, engine }: PredictedFigures, start: EngineStart): Budget {
  const before = freeBeforeWeightsBytes(gpuBytes, engine, start);
  const held = engine.weightsBytes + engine.kvCacheBytes;
  const rest = before - held;
  const restNeeded = engine.forwardBytes + engine.cudaGraphBytes;
  const value = memFractionStatic(gpuBytes, engine, start);
  const note =
    `SGLang's fraction is of the ${formatBytes(before)} free before its weights: ${parts(engine)}; ` +
    `activations and CUDA graphs have the other ${formatBytes(Math.max(rest, 0))}.`;
  return {
    ...(value > 0 && value < 1 && { fraction: value }),
    unexpressed: rest < restNeeded ? [tooLarge(engine.kvCacheBytes, held + restNeeded, before)] : [],
    note,
  };
}

export function vllmBudget({ gpuBytes, engine }: PredictedFigures, start: EngineStart, countsGraphs: boolean): Budget {
  const { forwardBytes, nonTorchBytes, cudaGraphBytes, contextBytes, trainersAtStartBytes } = engine;
  const needed = engine.weightsBytes + engine.kvCacheBytes + forwardBytes + nonTorchBytes + cudaGraphBytes;
  const available = gpuBytes - contextBytes;
  const value = gpuMemoryUtilization(gpuBytes, engine, countsGraphs);
  const free = available - (start === "after_trainers" ? trainersAtStartBytes : 0);
  const graphs = countsGraphs ? "CUDA graphs included" : "CUDA graphs come on top";
  const note =
    `vLLM's fraction is of the card's total, ${formatBytes(gpuBytes)}: ${parts(engine)}, ` +
    `a forward pass ${formatBytes(forwardBytes)}, other ${formatBytes(nonTorchBytes)}; ${graphs}.`;
  return {
    ...(value > 0 && value < 1 && { fraction: value }),
    unexpressed: present<Unexpressed>(
      needed > available && tooLarge(engine.kvCacheBytes, needed, available),
      needed <= available &&
        value * gpuBytes > free && {
          what: `engine started beside ${formatBytes(trainersAtStartBytes)} of trainers`,
          why: `vLLM starts only where its whole fraction is free, and ${formatBytes(free)} is`,
          nearest: "start the engine first, or offload the trainers before",
        },
    ),
    note,
  };
}

function parts({ weightsBytes, kvCacheBytes }: PredictedFigures["engine"]): string {
  return `weights ${formatBytes(weightsBytes)}, KV cache ${formatBytes(kvCacheBytes)}`;
}

function tooLarge(kvCacheBytes: number, neededBytes: number, availableBytes: number): Unexpressed {
  return {
    what: `KV cache of ${formatBytes(kvCacheBytes)}`,
    why: `the engine needs ${formatBytes(neededBytes)} and ${formatBytes(availableBytes)} is there`,
    nearest: "a smaller KV cache, or more GPUs for the engine",
  };
}
