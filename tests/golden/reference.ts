/**
 * A transformer in float64, as slow and as plain as it can be: one token after the other, one number after the other,
 * straight from the papers (RMSNorm: Zhang and Sennrich 2019; rotary embedding: Su et al. 2021; SwiGLU: Shazeer 2020;
 * grouped-query attention: Ainslie et al. 2023) and from the published definition of Llama 3's frequency scaling. It is
 * the truth for models that no fixture covers, and is itself held to the fixtures.
 */
import type { ModelConfig, RopeConfig } from "../../core/checkpoint/model-config.ts";
import { roundTo } from "./floats.ts";

type Vector = readonly number[];

/** Weights by Hugging Face name, in float64, row after row. */
export type ReferenceWeights = ReadonlyMap<string, Float64Array>;

/** What one step leaves behind for later ones: keys and values of every layer, per position. */
interface Layer {
  readonly keys: Vector[];
  readonly values: Vector[];
}

export class ReferenceModel {
  private readonly config: ModelConfig;
  private readonly weights: ReferenceWeights;
  private readonly layers: readonly Layer[];
  private position = 0;

  constructor(config: ModelConfig, weights: ReferenceWeights) {
    this.config = config;
    this.weights = weights;
    this.layers = Array.from({ length: config.layers }, () => ({ keys: [], values: [] }));
  }

  /** Logits after `tokenId`, which is put behind all tokens before. */
  step(tokenId: number): Vector {
    const { hiddenSize, tiedEmbeddings } = this.config;
    const embeddings = this.weight("model.embed_tokens.weight");
    let hidden: Vector = [...embeddings.subarray(tokenId * hiddenSize, (tokenId + 1) * hiddenSize)];
    for (const [index, layer] of this.layers.entries()) {
      const prefix = `model.layers.${index}`;
      hidden = add(hidden, this.attention(prefix, layer, this.norm(`${prefix}.input_layernorm`, hidden)));
      hidden = add(hidden, this.mlp(prefix, this.norm(`${prefix}.post_attention_layernorm`, hidden)));
    }
    this.position++;
    const output = tiedEmbeddings ? embeddings : this.weight("lm_head.weight");
    return multiply(output, this.norm("model.norm", hidden));
  }

  private attention(prefix: string, layer: Layer, input: Vector): Vector {
    const { heads, kvHeads, headDim, qkvBias, outputBias, qkNorm, rope } = this.config;
    const split = (name: string) => {
      const all = this.linear(`${prefix}.self_attn.${name}_proj`, input, qkvBias);
      return Array.from({ length: all.length / headDim }, (_, head) => all.slice(head * headDim, (head + 1) * headDim));
    };
    const place = (name: string) => (head: Vector) =>
      rotate(qkNorm ? this.norm(`${prefix}.self_attn.${name}_norm`, head) : head, this.position, rope);
    const queries = split("q").map(place("q"));
    layer.keys.push(split("k").flatMap(place("k")));
    layer.values.push(split("v").flat());

    const mixed = queries.flatMap((query, head) => {
      const group = Math.floor(head / (heads / kvHeads));
      const slice = (vector: Vector) => vector.slice(group * headDim, (group + 1) * headDim);
      const weights = softmax(layer.keys.map((key) => dot(query, slice(key)) / Math.sqrt(headDim)));
      const values = layer.values.map(slice);
      return query.map((_, index) => weights.reduce((sum, weight, past) => sum + weight * at(values[past], index), 0));
    });
    return this.linear(`${prefix}.self_attn.o_proj`, mixed, outputBias);
  }

  private mlp(prefix: string, input: Vector): Vector {
    const { mlpBias } = this.config;
    const gate = this.linear(`${prefix}.mlp.gate_proj`, input, mlpBias);
    const up = this.linear(`${prefix}.mlp.up_proj`, input, mlpBias);
    const gated = gate.map((value, index) => (value / (1 + Math.exp(-value))) * at(up, index));
    return this.linear(`${prefix}.mlp.down_proj`, gated, mlpBias);
  }

  private linear(name: string, input: Vector, bias: boolean): Vector {
    const output = multiply(this.weight(`${name}.weight`), input);
    return bias ? add(output, [...this.weight(`${name}.bias`)]) : output;
  }

  private norm(name: string, input: Vector): Vector {
    const scale = this.weight(`${name}.weight`);
    const root = Math.sqrt(dot(input, input) / input.length + this.config.rmsNormEps);
    return input.map((value, index) => (value / root) * at(scale, index));
  }

  private weight(name: string): Float64Array {
    const weight = this.weights.get(name);
    if (weight === undefined) throw new Error(`no tensor ${name}`);
    return weight;
  }
}

/** Rotates the pairs (i, i + half) of a head by position times their frequency: the halves layout of transformers. */
function rotate(head: Vector, position: number, rope: RopeConfig): Vector {
  const half = head.length / 2;
  return head.map((value, index) => {
    const pair = index % half;
    const frequency = roundTo(rope.frequencyDtype, scaledFrequency(rope.theta ** (-pair / half), rope));
    const angle = position * frequency;
    const partner = index < half ? -at(head, index + half) : at(head, index - half);
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

function scaledFrequency(frequency: number, rope: RopeConfig): number {
  switch (rope.type) {
    case "default":
      return frequency;
    case "linear":
      return frequency / rope.factor;
    case "llama3": {
      // Turns within the original context: many stay, few are slowed by the factor, between the two it is blended.
      const turns = (rope.originalMaxPositions * frequency) / (2 * Math.PI);
      const blend = (turns - rope.lowFreqFactor) / (rope.highFreqFactor - rope.lowFreqFactor);
      const kept = Math.min(1, Math.max(0, blend));
      return kept * frequency + ((1 - kept) * frequency) / rope.factor;
    }
  }
}

export function logSoftmax(logits: Vector): Vector {
  const top = Math.max(...logits);
  const logSum = top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
  return logits.map((logit) => logit - logSum);
}

function softmax(scores: Vector): Vector {
  return logSoftmax(scores).map(Math.exp);
}

/** Matrix (rows of the input's length) times vector. */
function multiply(matrix: Float64Array, input: Vector): Vector {
  const columns = input.length;
  const output: number[] = [];
  for (let row = 0; row < matrix.length; row += columns) {
    let sum = 0;
    for (let column = 0; column < columns; column++) sum += at(matrix, row + column) * at(input, column);
    output.push(sum);
  }
  return output;
}

function add(a: Vector, b: Vector): Vector {
  return a.map((value, index) => value + at(b, index));
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, index) => sum + value * at(b, index), 0);
}

/** The element at `index`; NaN when there is none, so that a mistake in sizes shows in the result. */
function at(vector: ArrayLike<number> | undefined, index: number): number {
  return vector?.[index] ?? Number.NaN;
}
