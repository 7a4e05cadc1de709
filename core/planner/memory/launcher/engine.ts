/** What one engine of a server (SGLang, vLLM) takes on one of its GPUs. */
import { MIB } from "../../../units.ts";
import { type Architecture, elementsOf, type Layer, weightTensors } from "../../models/architecture.ts";
import { layoutOf } from "../../plan.ts";
import type { Term } from "../../provenance.ts";
import type { ResolvedPlan } from "../../resolve.ts";
import { kvBytesOfSequence, kvBytesPerToken } from "../engine/kv-cache.ts";

export interface EngineMemory {
  readonly weights: readonly Term[];
  readonly kvCache: readonly Term[];
  /** The largest forward pass. */
  readonly forward: readonly Term[];
  readonly graphs: readonly Term[];
  readonly requestTable: readonly Term[];
  /** What its process takes beside PyTorch since its context. */
  readonly nonTorch: readonly Term[];
  /** Sequences decoded together, by the KV cache and by the plan. */
  readonly runningSequences: number;
}

export function engineMemory({ plan, gpu, engine: { architecture } }: ResolvedPlan): EngineMemory {
  const { workload, placement } = plan;
  const { engine } = workload;
  const { engineTensorParallel: parts } = placement;
  const itemBytes = engine.precision === "fp32" ? 4 : 2;
  const kvItemBytes = engine.kvCacheType === "auto" ? itemBytes : 1;
  const tokens = workload.promptTokens + workload.responseTokens;
  const asked = askedSequences(plan);
  const sequenceBytes = kvBytesOfSequence(architecture, tokens, kvItemBytes, parts);
  const kvBytes = engine.kvCacheBytes ?? asked * sequenceBytes;
  const runningSequences = Math.max(1, Math.min(asked, Math.floor(kvBytes / sequenceBytes)));
  const poolTokens = Math.floor(kvBytes / kvBytesPerToken(architecture, kvItemBytes, parts));
  return {
    weights: [
      {
        cause: `weights in ${engine.precision}`,
        amount: shardBytes(architecture, itemBytes, parts),
        provenance: "identity",
      },
    ],
    kvCache: [
      {
        cause: engine.kvCacheBytes === undefined ? `${asked} sequences of ${tokens} tokens` : "as set in the plan",
        amount: kvBytes,
        provenance: engine.kvCacheBytes === undefined ? "identity" : "chosen",
      },
    ],
    forward: [forwardTerm(architecture, runningSequences, workload.promptTokens, itemBytes, parts)],
    graphs: engine.cudaGraphs ? [graphsTerm(gpu.totalBytes.value, runningSequences)] : [],
    requestTable: [requestTableTerm(poolTokens, tokens)],
    nonTorch: nonTorchTerms(parts),
    runningSequences,
  };
}

/** What one engine is given to decode together. */
function askedSequences({ workload, placement }: ResolvedPlan["plan"]): number {
  const share = Math.ceil(workload.batch / layoutOf(placement).engines);
  return Math.min(share, workload.engine.runningSequences ?? share);
}

// ---------------------------------------------------------------------------------------------------------------------
// Weights

const shards = new WeakMap<Architecture, Map<string, number>>();

/** Norms and routers are on every GPU, the rest is divided. */
function shardBytes(architecture: Architecture, itemBytes: number, parts: number): number {
  const key = `${itemBytes},${parts}`;
  const known = shards.get(architecture) ?? new Map<string, number>();
  shards.set(architecture, known);
  const bytes = known.get(key);
  if (bytes !== undefined) return bytes;
  const elements = weightTensors(architecture).reduce((sum, tensor) => {
    const whole = tensor.component === "norm" || tensor.component === "router";
    return sum + (whole ? elementsOf(tensor) : Math.ceil(elementsOf(tensor) / parts));
  }, 0);
  known.set(key, elements * itemBytes);
  return elements * itemBytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// Forward passes

/** What vLLM's profile of the sampler takes for each logit of each running sequence, in float32 numbers. */
const SAMPLER_COPIES = 9.7;
const FLOAT_BYTES = 4;
/** Both servers cut longer prompts into chunks. */
const PREFILL_TOKENS = 8192;

function forwardTerm(
  architecture: Architecture,
  sequences: number,
  promptTokens: number,
  itemBytes: number,
  parts: number,
): Term {
  const sampler = SAMPLER_COPIES * sequences * architecture.vocabSize * FLOAT_BYTES;
  const chunk = Math.min(PREFILL_TOKENS, sequences * promptTokens);
  const prefill =
    chunk * Math.max(...architecture.runs.map(({ layer }) => tokenBytes(architecture, layer, itemBytes, parts)));
  return sampler > prefill
    ? {
        cause: `sampling of ${sequences} sequences`,
        amount: Math.ceil(sampler),
        provenance: "inferred",
        source: "9.6 to 9.96 float32 copies of the logits in seven of eight vLLM profiles",
      }
    : {
        cause: `a chunk of ${chunk} prompt tokens`,
        amount: Math.ceil(prefill),
        provenance: "assumption",
        source: "residual, norm, attention and the widest block of one layer at once",
      };
}

function tokenBytes({ hiddenSize }: Architecture, { attention, feedForward }: Layer, itemBytes: number, parts: number) {
  const heads = attention.heads / parts;
  const projected =
    attention.kind === "grouped"
      ? (2 * heads + 2 * Math.ceil(attention.kvHeads / parts)) * attention.headDim
      : heads * (2 * (attention.plainHeadDim + attention.rotatedHeadDim) + 2 * attention.valueHeadDim);
  const widths =
    feedForward.kind === "gated"
      ? feedForward.intermediate
      : feedForward.active * (feedForward.intermediate + hiddenSize / 3) + feedForward.shared;
  return (3 * hiddenSize + Math.max(projected, (3 * widths) / parts)) * itemBytes;
}

// ---------------------------------------------------------------------------------------------------------------------
// What stays

/** Largest batch that servers record CUDA graphs for, by the size of the card. */
const GRAPH_TIERS: readonly (readonly [belowBytes: number, sequences: number])[] = [
  [20e9, 8],
  [35e9, 48],
  [60e9, 32],
  [Number.POSITIVE_INFINITY, 256],
];
const GRAPH_BYTES_PER_SEQUENCE = 2 * MIB;

function graphsTerm(gpuBytes: number, sequences: number): Term {
  const [, most] = GRAPH_TIERS.find(([below]) => gpuBytes < below) ?? [0, 256];
  const recorded = Math.min(most, sequences);
  return {
    cause: `CUDA graphs for up to ${recorded} sequences`,
    amount: recorded * GRAPH_BYTES_PER_SEQUENCE,
    provenance: "inferred",
    source: "what SGLang sets aside for them: 2 MiB for each sequence",
  };
}

/** SGLang's table from requests to their tokens. */
function requestTableTerm(poolTokens: number, contextTokens: number): Term {
  const requests = Math.min(4096, Math.max(2048, Math.floor((poolTokens / contextTokens) * 512)));
  return {
    cause: "table of requests and their tokens",
    amount: (requests + 1) * (contextTokens + 4) * 4,
    provenance: "calibrated",
    source: "SGLang's sizes, held against its logs",
  };
}

function nonTorchTerms(parts: number): readonly Term[] {
  const source = "vLLM's logs of 2025";
  return [
    { cause: "libraries beside PyTorch", amount: Math.round(0.13 * 1024) * MIB, provenance: "calibrated", source },
    ...(parts === 1
      ? []
      : [{ cause: "NCCL", amount: Math.round(0.41 * 1024) * MIB, provenance: "calibrated", source } as const]),
  ];
}
