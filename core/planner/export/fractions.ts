/**
 * The two numbers by which servers are told how much memory they may take. Both are fractions, of different things: a value
 * that is right for one runs the other out of memory. Rounded down, so that a server never takes more than was planned.
 */
import type { EngineFigures } from "./figures.ts";

/** Four digits: 8 MiB of an 80 GiB card. */
const STEPS = 10_000;

function fraction(partBytes: number, wholeBytes: number): number {
  return Math.floor((partBytes / wholeBytes) * STEPS) / STEPS;
}

/** What is free just before SGLang loads its weights: of this its fraction is taken, not of the card. */
export function freeBeforeWeightsBytes(gpuBytes: number, engine: EngineFigures, start: EngineStart): number {
  return gpuBytes - engine.contextBytes - (start === "after_trainers" ? engine.trainersAtStartBytes : 0);
}

/** Whether trainers hold memory already when the engine measures what is free. */
export type EngineStart = "first" | "after_trainers";

/**
 * SGLang's `--mem-fraction-static`. It sizes the pool as `after - before * (1 - fraction)`, with what is free before and
 * after the weights; activations, CUDA graphs and the request table live in the rest.
 */
export function memFractionStatic(gpuBytes: number, engine: EngineFigures, start: EngineStart): number {
  const before = freeBeforeWeightsBytes(gpuBytes, engine, start);
  return fraction(engine.weightsBytes + engine.kvCacheBytes, before);
}

/**
 * vLLM's `--gpu-memory-utilization`, of the card's total: the pool is what weights, other memory of the process since its
 * context, and a profiled forward pass leave of it. CUDA graphs count since 0.21.
 */
export function gpuMemoryUtilization(gpuBytes: number, engine: EngineFigures, countsGraphs: boolean): number {
  const { weightsBytes, kvCacheBytes, forwardBytes, nonTorchBytes, cudaGraphBytes } = engine;
  const graphs = countsGraphs ? cudaGraphBytes : 0;
  return fraction(weightsBytes + kvCacheBytes + forwardBytes + nonTorchBytes + graphs, gpuBytes);
}
