/** What an export takes from a prediction: bytes of one GPU, the one that holds most. */
import type { Consumer } from "../../consumers.ts";
import type { Work } from "../../schedule/works.ts";

export interface PredictedFigures {
  /** Total of one GPU, as CUDA reports it. */
  readonly gpuBytes: number;
  /** In the order of the schedule. */
  readonly phases: readonly PredictedPhase[];
  readonly engine: EngineFigures;
}

export interface PredictedPhase {
  readonly work: Work;
  /** What each consumer holds at the phase's peak; left out is nothing. */
  readonly bytes: Readonly<Partial<Record<Consumer, number>>>;
}

/** The engine's share of one of its GPUs, in the pieces in which servers count it. */
export interface EngineFigures {
  readonly weightsBytes: number;
  readonly kvCacheBytes: number;
  /** The largest forward pass beyond the weights: activations, logits and the sampler's temporaries. */
  readonly forwardBytes: number;
  readonly cudaGraphBytes: number;
  /** CUDA context of its process. */
  readonly contextBytes: number;
  /** What its process takes beside PyTorch after the context is there: NCCL, workspaces of libraries. */
  readonly nonTorchBytes: number;
  /** What trainers hold of its GPU when it starts after them, their contexts included. */
  readonly trainersAtStartBytes: number;
}

/** Bytes of the given consumers in one phase. */
export function phaseBytes({ phases }: PredictedFigures, work: Work, consumers: readonly Consumer[]): number {
  const bytes = phases.find((phase) => phase.work === work)?.bytes ?? {};
  return consumers.reduce((sum, consumer) => sum + (bytes[consumer] ?? 0), 0);
}
