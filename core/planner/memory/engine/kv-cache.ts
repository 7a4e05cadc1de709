/** What an engine keeps of every token that it has seen, and how many tokens the servers make room for. */
import type { Architecture, Attention } from "../../models/architecture.ts";

/**
 * Bytes that one token takes in all layers on one of `tensorParallel` GPUs. Heads that do not divide are repeated, and a
 * latent is the same for all heads: every GPU keeps it whole.
 */
export function kvBytesPerToken(architecture: Architecture, itemBytes: number, tensorParallel = 1): number {
  return architecture.runs.reduce(
    (sum, { count, layer }) => sum + count * layerBytes(layer.attention, itemBytes, tensorParallel),
    0,
  );
}

/** Bytes of a sequence of so many tokens: layers with a window forget what lies before it. */
export function kvBytesOfSequence(
  architecture: Architecture,
  tokens: number,
  itemBytes: number,
  tensorParallel = 1,
): number {
  return architecture.runs.reduce((sum, { count, layer: { attention } }) => {
    const kept = attention.kind === "grouped" ? Math.min(tokens, attention.window ?? tokens) : tokens;
    return sum + count * kept * layerBytes(attention, itemBytes, tensorParallel);
  }, 0);
}

function layerBytes(attention: Attention, itemBytes: number, tensorParallel: number): number {
  if (attention.kind === "latent") return (attention.kvRank + attention.rotatedHeadDim) * itemBytes;
  return 2 * Math.ceil(attention.kvHeads / tensorParallel) * attention.headDim * itemBytes;
}

export interface SglangStart {
  /** Free on the device before and after the weights are loaded. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
  readonly memFractionStatic: number;
}

/** Tokens in SGLang's pool: what is left after the weights, less the part of what was free that is not static. */
export function sglangPoolTokens(
  { beforeBytes, afterBytes, memFractionStatic }: SglangStart,
  bytesPerToken: number,
): number {
  const poolBytes = afterBytes - beforeBytes * (1 - memFractionStatic);
  return Math.max(0, Math.floor(poolBytes / bytesPerToken));
}

export interface VllmStart {
  /** As CUDA reports it. */
  readonly totalBytes: number;
  readonly gpuMemoryUtilization: number;
  readonly weightsBytes: number;
  /** What the process takes beside PyTorch since its context. */
  readonly nonTorchBytes: number;
  /** A profiled forward pass. */
  readonly forwardBytes: number;
  /** Since 0.21 they count. */
  readonly cudaGraphBytes?: number;
}

/** What vLLM's fraction of the card leaves for the pool; negative where it does not start. */
export function vllmPoolBytes(start: VllmStart): number {
  const { totalBytes, gpuMemoryUtilization, weightsBytes, nonTorchBytes, forwardBytes, cudaGraphBytes = 0 } = start;
  return Math.floor(totalBytes * gpuMemoryUtilization) - weightsBytes - nonTorchBytes - forwardBytes - cudaGraphBytes;
}

/** Whole blocks only. */
export function vllmPoolTokens(poolBytes: number, bytesPerToken: number, blockTokens = 16): number {
  return Math.max(0, Math.floor(poolBytes / (bytesPerToken * blockTokens))) * blockTokens;
}
