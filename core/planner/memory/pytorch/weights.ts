/**
 * The weights of a model as they lie on the device, in the order in which transformers creates them: the parameters that
 * the operators multiply with, their adapters, and what quantised ones take.
 */
import type { Architecture, Attention, FeedForward, Layer } from "../../models/architecture.ts";
import { Parameter } from "./autograd.ts";
import { SINGLE } from "./operators.ts";

/** How a model's weights are stored and which of them learn. */
export interface Storage {
  readonly itemBytes: number;
  /** Of linear layers, where fewer bits than `itemBytes` are kept: bytes for each weight. */
  readonly quantisedBytes: number | undefined;
  /** `all` weights learn, `adapters` of this rank on every linear layer learn, or nothing does. */
  readonly training: { readonly kind: "all" | "none" } | { readonly kind: "adapters"; readonly rank: number };
  /** Devices that share every linear layer between them (tensor parallelism). */
  readonly tensorParallel: number;
}

export interface Linear {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly columns: number;
  readonly adapter: { readonly down: Parameter; readonly up: Parameter; readonly rank: number } | undefined;
  readonly quantised: boolean;
}

export type AttentionWeights =
  | {
      readonly kind: "grouped";
      readonly query: Linear;
      readonly key: Linear;
      readonly value: Linear;
      readonly output: Linear;
      readonly queryNorm: Parameter | undefined;
      readonly keyNorm: Parameter | undefined;
    }
  | {
      readonly kind: "latent";
      /** Through a latent of its own, or directly. */
      readonly query:
        | { readonly down: Linear; readonly norm: Parameter; readonly up: Linear }
        | { readonly up: Linear };
      readonly down: Linear;
      readonly norm: Parameter;
      readonly up: Linear;
      readonly output: Linear;
    };

export interface MlpWeights {
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
}

export type FeedForwardWeights =
  | ({ readonly kind: "gated" } & MlpWeights)
  | {
      readonly kind: "experts";
      readonly gateUp: Parameter;
      readonly down: Parameter;
      readonly router: Linear;
      readonly shared: MlpWeights | undefined;
      readonly sharedGate: Linear | undefined;
    };

export interface LayerWeights {
  readonly layer: Layer;
  readonly attention: AttentionWeights;
  readonly feedForward: FeedForwardWeights;
  /** Before attention, after it; before the feed-forward block, after it. */
  readonly norms: { readonly input: Parameter; readonly middle: Parameter; readonly after: readonly Parameter[] };
  /** Everything above, in the order of creation. */
  readonly parameters: readonly Parameter[];
}

/** Makes parameters and remembers their order. */
export class WeightsBuilder {
  readonly parameters: Parameter[] = [];
  private readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  parameter(elements: number, itemBytes = this.storage.itemBytes): Parameter {
    const made = new Parameter(elements, itemBytes, this.storage.training.kind === "all");
    this.parameters.push(made);
    return made;
  }

  linear(columns: number, inputs: number, bias: boolean, { adapted = true } = {}): Linear {
    const { quantisedBytes, training } = this.storage;
    const quantised = adapted && quantisedBytes !== undefined;
    const weight = this.parameter(columns * inputs, quantised ? quantisedBytes : this.storage.itemBytes);
    const made = { weight, bias: bias ? this.parameter(columns) : undefined, columns, quantised };
    if (!adapted || training.kind !== "adapters") return { ...made, adapter: undefined };
    const { rank } = training;
    // peft keeps adapters in float32 when the model is in fewer bits.
    const down = new Parameter(rank * inputs, SINGLE, true);
    const up = new Parameter(columns * rank, SINGLE, true);
    this.parameters.push(down, up);
    return { ...made, adapter: { down, up, rank } };
  }

  mlp(hidden: number, inner: number, bias: boolean): MlpWeights {
    const share = Math.ceil(inner / this.storage.tensorParallel);
    return {
      gate: this.linear(share, hidden, bias),
      up: this.linear(share, hidden, bias),
      down: this.linear(hidden, share, bias),
    };
  }

  attention(attention: Attention, hidden: number): AttentionWeights {
    const parts = this.storage.tensorParallel;
    if (attention.kind === "latent") {
      const { queryRank, kvRank, plainHeadDim, rotatedHeadDim, valueHeadDim, bias } = attention;
      const heads = attention.heads / parts;
      const queries = heads * (plainHeadDim + rotatedHeadDim);
      const query =
        queryRank === undefined
          ? { up: this.linear(queries, hidden, false) }
          : {
              down: this.linear(queryRank, hidden, bias),
              norm: this.parameter(queryRank),
              up: this.linear(queries, queryRank, false),
            };
      return {
        kind: "latent",
        query,
        down: this.linear(kvRank + rotatedHeadDim, hidden, bias),
        norm: this.parameter(kvRank),
        up: this.linear(heads * (plainHeadDim + valueHeadDim), kvRank, false),
        output: this.linear(hidden, heads * valueHeadDim, bias),
      };
    }
    const { headDim, qkvBias, outputBias, qkNorm } = attention;
    const queries = (attention.heads / parts) * headDim;
    const keys = Math.ceil(attention.kvHeads / parts) * headDim;
    return {
      kind: "grouped",
      query: this.linear(queries, hidden, qkvBias),
      key: this.linear(keys, hidden, qkvBias),
      value: this.linear(keys, hidden, qkvBias),
      output: this.linear(hidden, queries, outputBias),
      queryNorm: qkNorm ? this.parameter(headDim) : undefined,
      keyNorm: qkNorm ? this.parameter(headDim) : undefined,
    };
  }

  feedForward(feedForward: FeedForward, hidden: number): FeedForwardWeights {
    if (feedForward.kind === "gated") {
      return { kind: "gated", ...this.mlp(hidden, feedForward.intermediate, feedForward.bias) };
    }
    const { experts, shared, sharedGate } = feedForward;
    const inner = Math.ceil(feedForward.intermediate / this.storage.tensorParallel);
    const bytes = this.storage.quantisedBytes ?? this.storage.itemBytes;
    return {
      kind: "experts",
      gateUp: this.parameter(experts * 2 * inner * hidden, bytes),
      down: this.parameter(experts * inner * hidden, bytes),
      router: this.linear(experts, hidden, false, { adapted: false }),
      shared: shared > 0 ? this.mlp(hidden, shared, false) : undefined,
      sharedGate: sharedGate ? this.linear(1, hidden, false, { adapted: false }) : undefined,
    };
  }
}

export function layerWeights(architecture: Architecture, layer: Layer, storage: Storage): LayerWeights {
  const { hiddenSize, sandwichNorms } = architecture;
  const builder = new WeightsBuilder(storage);
  const attention = builder.attention(layer.attention, hiddenSize);
  const feedForward = builder.feedForward(layer.feedForward, hiddenSize);
  const norm = () => builder.parameter(hiddenSize);
  const norms = { input: norm(), middle: norm(), after: sandwichNorms ? [norm(), norm()] : [] };
  return { layer, attention, feedForward, norms, parameters: builder.parameters };
}
