/**
 * What a language model is made of, as far as memory goes: every published decoder that Tideline plans with is a stack of
 * attention and feed-forward blocks of a few kinds. Parameters are derived from this, tensor by tensor; no count is stored.
 */

/** Queries, keys and values of the same head size; fewer heads of keys and values than of queries is grouped-query attention. */
export interface GroupedAttention {
  readonly kind: "grouped";
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  /** A normalisation of each head of queries and keys before rotation. */
  readonly qkNorm: boolean;
  /** Most tokens a query looks back on; undefined: all. */
  readonly window: number | undefined;
}

/** Multi-head latent attention: keys and values come from one small vector for each token, which is all that a cache keeps. */
export interface LatentAttention {
  readonly kind: "latent";
  readonly heads: number;
  /** undefined: queries come from the hidden state directly. */
  readonly queryRank: number | undefined;
  readonly kvRank: number;
  readonly plainHeadDim: number;
  readonly rotatedHeadDim: number;
  readonly valueHeadDim: number;
  readonly bias: boolean;
}

export type Attention = GroupedAttention | LatentAttention;

export interface GatedMlp {
  readonly kind: "gated";
  readonly intermediate: number;
  readonly bias: boolean;
}

export interface Experts {
  readonly kind: "experts";
  readonly experts: number;
  /** Experts that work on each token. */
  readonly active: number;
  readonly intermediate: number;
  /** Intermediate size of what works on every token besides; 0: nothing does. */
  readonly shared: number;
  /** The shared part has a gate of its own. */
  readonly sharedGate: boolean;
  /** A number for each expert that the router adds before choosing. */
  readonly routerBias: boolean;
  /** The router computes in float32. */
  readonly routerInFloat32: boolean;
}

export type FeedForward = GatedMlp | Experts;

export interface Layer {
  readonly attention: Attention;
  readonly feedForward: FeedForward;
}

/** Layers that are alike and follow each other. */
export interface LayerRun {
  readonly count: number;
  readonly layer: Layer;
}

export interface Architecture {
  /** `model_type` of config.json. */
  readonly family: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly maxPositions: number;
  readonly runs: readonly LayerRun[];
  /** The output projection is the embedding. */
  readonly tiedEmbeddings: boolean;
  /**
   * `llama`: scaled after rounding, one before attention and one before the feed-forward block. `gemma`: scaled in float32,
   * and `sandwich` puts one after each block too.
   */
  readonly norm: "llama" | "gemma";
  readonly sandwichNorms: boolean;
  /** Embeddings are multiplied with a constant. */
  readonly scaledEmbeddings: boolean;
  /** Logits pass through a tanh. */
  readonly cappedLogits: boolean;
}

/** Where a weight belongs; adapters and quantisation pick by this. */
export type Component = "embedding" | "attention" | "mlp" | "experts" | "router" | "norm" | "head";

export interface WeightTensor {
  /** As in a checkpoint, with `{layer}` for the layer's number; experts are counted by `copies`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly component: Component;
  /** How many tensors of this shape and name the model, or one layer, has. */
  readonly copies: number;
}

const one = (name: string, component: Component, ...shape: readonly number[]): WeightTensor => ({
  name,
  component,
  shape,
  copies: 1,
});

export function elementsOf({ shape, copies }: WeightTensor): number {
  return shape.reduce((product, size) => product * size, copies);
}

function linear(name: string, component: Component, rows: number, columns: number, bias: boolean): WeightTensor[] {
  return [one(`${name}.weight`, component, rows, columns), ...(bias ? [one(`${name}.bias`, component, rows)] : [])];
}

export function attentionTensors(attention: Attention, hidden: number): readonly WeightTensor[] {
  const at = (name: string) => `self_attn.${name}`;
  if (attention.kind === "latent") {
    const { heads, queryRank, kvRank, plainHeadDim, rotatedHeadDim, valueHeadDim, bias } = attention;
    const queries = heads * (plainHeadDim + rotatedHeadDim);
    return [
      ...(queryRank === undefined
        ? linear(at("q_proj"), "attention", queries, hidden, false)
        : [
            ...linear(at("q_a_proj"), "attention", queryRank, hidden, bias),
            one(at("q_a_layernorm.weight"), "norm", queryRank),
            ...linear(at("q_b_proj"), "attention", queries, queryRank, false),
          ]),
      ...linear(at("kv_a_proj_with_mqa"), "attention", kvRank + rotatedHeadDim, hidden, bias),
      one(at("kv_a_layernorm.weight"), "norm", kvRank),
      ...linear(at("kv_b_proj"), "attention", heads * (plainHeadDim + valueHeadDim), kvRank, false),
      ...linear(at("o_proj"), "attention", hidden, heads * valueHeadDim, bias),
    ];
  }
  const queries = attention.heads * attention.headDim;
  const keys = attention.kvHeads * attention.headDim;
  return [
    ...linear(at("q_proj"), "attention", queries, hidden, attention.qkvBias),
    ...linear(at("k_proj"), "attention", keys, hidden, attention.qkvBias),
    ...linear(at("v_proj"), "attention", keys, hidden, attention.qkvBias),
    ...linear(at("o_proj"), "attention", hidden, queries, attention.outputBias),
    ...(attention.qkNorm
      ? [one(at("q_norm.weight"), "norm", attention.headDim), one(at("k_norm.weight"), "norm", attention.headDim)]
      : []),
  ];
}

function gatedTensors(prefix: string, component: Component, hidden: number, inner: number, bias: boolean) {
  return [
    ...linear(`${prefix}.gate_proj`, component, inner, hidden, bias),
    ...linear(`${prefix}.up_proj`, component, inner, hidden, bias),
    ...linear(`${prefix}.down_proj`, component, hidden, inner, bias),
  ];
}

export function feedForwardTensors(feedForward: FeedForward, hidden: number): readonly WeightTensor[] {
  if (feedForward.kind === "gated") {
    return gatedTensors("mlp", "mlp", hidden, feedForward.intermediate, feedForward.bias);
  }
  const { experts, intermediate, shared, sharedGate, routerBias } = feedForward;
  return [
    one("mlp.gate.weight", "router", experts, hidden),
    ...(routerBias ? [one("mlp.gate.e_score_correction_bias", "router", experts)] : []),
    ...gatedTensors("mlp.experts.{expert}", "experts", hidden, intermediate, false).map((tensor) => ({
      ...tensor,
      copies: experts,
    })),
    ...(shared > 0 ? gatedTensors("mlp.shared_experts", "mlp", hidden, shared, false) : []),
    ...(sharedGate ? [one("mlp.shared_expert_gate.weight", "mlp", 1, hidden)] : []),
  ];
}

export function layerTensors(architecture: Architecture, layer: Layer): readonly WeightTensor[] {
  const { hiddenSize, sandwichNorms } = architecture;
  const norms = sandwichNorms
    ? ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
    : ["input_layernorm", "post_attention_layernorm"];
  return [
    ...attentionTensors(layer.attention, hiddenSize),
    ...feedForwardTensors(layer.feedForward, hiddenSize),
    ...norms.map((name) => one(`${name}.weight`, "norm", hiddenSize)),
  ].map((tensor) => ({ ...tensor, name: `model.layers.{layer}.${tensor.name}` }));
}

/** What sits on top: logits over the vocabulary, or one number for each token (a critic, a reward model). */
export type Head = "language" | "value";

/** Every weight outside the layers, in the order of the checkpoint: those before the layers, then those after. */
export function outerTensors(architecture: Architecture, head: Head = "language") {
  const { vocabSize, hiddenSize, tiedEmbeddings } = architecture;
  return {
    before: [one("model.embed_tokens.weight", "embedding", vocabSize, hiddenSize)],
    after: [
      one("model.norm.weight", "norm", hiddenSize),
      ...(head === "value"
        ? [one("score.weight", "head", 1, hiddenSize)]
        : tiedEmbeddings
          ? []
          : [one("lm_head.weight", "head", vocabSize, hiddenSize)]),
    ],
  } as const satisfies Record<string, readonly WeightTensor[]>;
}

/** Every weight, layers of a run counted by `copies`. */
export function weightTensors(architecture: Architecture, head: Head = "language"): readonly WeightTensor[] {
  const { before, after } = outerTensors(architecture, head);
  const layers = architecture.runs.flatMap(({ count, layer }) =>
    layerTensors(architecture, layer).map((tensor) => ({ ...tensor, copies: tensor.copies * count })),
  );
  return [...before, ...layers, ...after];
}

/** Exact number of weights; tied embeddings count once. */
export function parameterCount(architecture: Architecture, head: Head = "language"): number {
  return weightTensors(architecture, head).reduce((sum, tensor) => sum + elementsOf(tensor), 0);
}

/** Weights that work on one token: of a mixture of experts only the active ones. */
export function activeParameterCount(architecture: Architecture, head: Head = "language"): number {
  const idle = architecture.runs.reduce((sum, { count, layer: { feedForward } }) => {
    if (feedForward.kind !== "experts") return sum;
    const { experts, active, intermediate } = feedForward;
    return sum + count * (experts - active) * 3 * intermediate * architecture.hiddenSize;
  }, 0);
  return parameterCount(architecture, head) - idle;
}

export function layerCount(architecture: Architecture): number {
  return architecture.runs.reduce((sum, { count }) => sum + count, 0);
}
