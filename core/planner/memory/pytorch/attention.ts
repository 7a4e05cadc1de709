/** Attention: from the normed hidden state to what is added to the residual stream. */
import { assertNever, TidelineError } from "../../../errors.ts";
import type { GroupedAttention, LatentAttention } from "../../models/architecture.ts";
import type { Tensor } from "./autograd.ts";
import { type Count, columnsOf, PAIRS, plus, times } from "./count.ts";
import { inPlace } from "./fused.ts";
import { llamaNorm } from "./norm.ts";
import { alias, cast, copied, drop, HALF, mapped, rotated, SINGLE, transposed } from "./operators.ts";
import type { Pass } from "./pass.ts";
import { project } from "./projection.ts";
import type { AttentionWeights, LayerWeights } from "./weights.ts";

export function attend(pass: Pass, x: Tensor, { attention, layer }: LayerWeights): Tensor {
  if (attention.kind === "grouped" && layer.attention.kind === "grouped") {
    return groupedAttention(pass, x, attention, layer.attention);
  }
  if (attention.kind === "latent" && layer.attention.kind === "latent") {
    return latentAttention(pass, x, attention, layer.attention);
  }
  throw new TidelineError({ code: "internal", message: `weights of ${attention.kind} attention for another kind` });
}

type Grouped = Extract<AttentionWeights, { kind: "grouped" }>;
type Latent = Extract<AttentionWeights, { kind: "latent" }>;

/** Queries, keys and values on their way into a kernel, all with heads apart. */
interface Heads {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly heads: number;
  readonly kvHeads: number;
  /** Elements of what comes out. */
  readonly outputs: Count;
}

function groupedAttention(pass: Pass, x: Tensor, weights: Grouped, { headDim }: GroupedAttention): Tensor {
  const { graph, tokens } = pass;
  const ofRotation = pass.autocast ? SINGLE : x.itemBytes;
  const split = (layer: Grouped["query"]) => {
    const raw = project(pass, x, layer);
    const heads = transposed(graph, raw);
    drop(graph, raw);
    return heads;
  };
  const projected = (layer: Grouped["query"], norm: Grouped["queryNorm"]) => {
    const heads = split(layer);
    if (norm === undefined) return heads;
    const normed = llamaNorm(pass, heads, norm);
    drop(graph, heads);
    return normed;
  };
  const rawQuery = projected(weights.query, weights.queryNorm);
  const rawKey = projected(weights.key, weights.keyNorm);
  // The kernel gives the gradient of the values in the order in which it got them; a cache changes that order.
  const rawValue = pass.keyValueCache ? split(weights.value) : project(pass, x, weights.value);
  const turned = (x: Tensor) =>
    pass.fused ? inPlace(graph, x, pass.rotation) : rotated(graph, x, ofRotation, pass.rotation);
  const query = turned(rawQuery);
  const rotatedKey = turned(rawKey);
  drop(graph, rawQuery, rawKey);
  const [key, value] = cached(pass, rotatedKey, rawValue);
  const result = kernel(pass, {
    query,
    key,
    value,
    heads: columnsOf(query.elements, tokens) / headDim,
    kvHeads: columnsOf(key.elements, tokens) / headDim,
    outputs: query.elements,
  });
  const output = project(pass, result, weights.output);
  drop(graph, result, query, key, value);
  return output;
}

/** transformers' cache joins what it has with what is new: a copy, even the first time, in the type of the hidden state. */
function cached(pass: Pass, key: Tensor, value: Tensor): readonly [Tensor, Tensor] {
  const { graph } = pass;
  if (!pass.keyValueCache) return [key, value];
  const copies = [key, value].map((tensor) => {
    const copy = graph.tape.because("key-value cache", () =>
      copied(graph, tensor, tensor.elements, pass.autocast ? SINGLE : tensor.itemBytes),
    );
    pass.cache(copy);
    return copy;
  });
  drop(graph, key, value);
  const [first, second] = copies;
  return [first ?? key, second ?? value];
}

function kernel(pass: Pass, heads: Heads): Tensor {
  switch (pass.attention) {
    case "eager":
      return eagerAttention(pass, heads);
    case "sdpa":
    case "flash":
      return fusedAttention(pass, heads);
    default:
      return assertNever(pass.attention);
  }
}

/** Keeps queries, keys, values, the result and one number for each query; the scores never leave the chip. */
function fusedAttention(pass: Pass, { query, key, value, heads, kvHeads, outputs }: Heads): Tensor {
  const { graph } = pass;
  const { tape } = graph;
  const ready = (tensor: Tensor) => {
    const repeated = repeatForMask(pass, tensor, tensor === query ? 1 : heads / kvHeads);
    if (!pass.autocast) return repeated;
    const narrow = cast(graph, repeated, HALF);
    drop(graph, repeated);
    return narrow;
  };
  const expanded = pass.batch.masked && pass.attention === "sdpa" ? heads : kvHeads;
  const v = ready(value);
  const k = ready(key);
  const q = ready(query);
  const itemBytes = q.itemBytes;
  const { masked } = pass.batch;
  // A mask of bits becomes one of numbers to be added, in every layer.
  const mask =
    masked && pass.attention === "sdpa"
      ? tape.because("attention mask", () => graph.tensor(PAIRS, itemBytes))
      : undefined;
  const seeds = [tape.allocate(8), tape.allocate(8)];
  const result = graph.tensor(outputs, itemBytes);
  const follows = graph.follows(q, k, v);
  const logSums = follows ? graph.tensor(times(pass.tokens, heads), SINGLE) : undefined;
  tape.release(tape.allocate(256));
  const saved = graph.save(q, k, v, result, logSums, mask);
  const recorded = graph.record(result, [q, k, v], saved, () => {
    const gradients = [q, k, v].map(({ elements }) => ({
      block: tape.allocate(times(elements, itemBytes)),
      view: false,
    }));
    // cuDNN sums the gradient of the queries in float32, and those of keys and values for each query head apart.
    const perHead = expanded === heads ? 0 : 2 * itemBytes;
    const each = q.elements.each * (SINGLE + perHead) + pass.tokens.each * heads * SINGLE;
    tape.release(tape.allocate(plus({ each, of: q.elements.of }, 256)));
    return gradients;
  });
  drop(graph, logSums, mask, q, k, v);
  for (const seed of seeds) tape.release(seed);
  return recorded;
}

/** With a mask, PyTorch's fused kernels take no grouped heads: keys and values are written out for every query head. */
function repeatForMask(pass: Pass, tensor: Tensor, repeats: number): Tensor {
  const { graph } = pass;
  if (repeats === 1 || !pass.batch.masked || pass.attention !== "sdpa") return alias(graph, tensor);
  return copied(graph, tensor, times(tensor.elements, repeats));
}

/** Writes out the scores of every head, once in the model's type and once in float32. */
function eagerAttention(pass: Pass, { query, key, value, heads, kvHeads, outputs }: Heads): Tensor {
  const { graph } = pass;
  const { tape } = graph;
  const itemBytes = pass.autocast ? HALF : query.itemBytes;
  const repeats = heads / kvHeads;
  const repeated = (tensor: Tensor) =>
    repeats === 1 ? alias(graph, tensor) : copied(graph, tensor, times(tensor.elements, repeats));
  const keys = repeated(key);
  const values = repeated(value);
  const scores = times(PAIRS, heads);
  return tape.because("attention scores", () => {
    const transposedKeys = copied(graph, keys);
    const products = graph.tensor(scores, itemBytes);
    const product = graph.record(products, [query, keys], graph.save(query, transposedKeys), () =>
      [query, keys].map(({ elements }) => ({ block: tape.allocate(times(elements, itemBytes)), view: true })),
    );
    const scaled = mapped(graph, product);
    drop(graph, product);
    const masked = copied(graph, scaled);
    drop(graph, scaled);
    const wide = graph.tensor(scores, SINGLE);
    const softmaxed = graph.tensor(scores, SINGLE);
    drop(graph, wide);
    const probabilities = graph.record(softmaxed, [masked], graph.save(softmaxed), () => {
      const product = tape.allocate(times(scores, SINGLE));
      const scratch = tape.allocate(times(scores, SINGLE));
      tape.release(scratch);
      tape.release(product);
      return [{ block: tape.allocate(times(scores, itemBytes)), view: false }];
    });
    const narrow = cast(graph, probabilities, itemBytes);
    drop(graph, probabilities, masked);
    const mixed = graph.tensor(outputs, itemBytes);
    const result = graph.record(mixed, [narrow, values], graph.save(narrow, values), () => [
      { block: tape.allocate(times(scores, itemBytes)), view: true },
      { block: tape.allocate(times(values.elements, itemBytes)), view: true },
    ]);
    const contiguous = copied(graph, result);
    drop(graph, result, narrow, transposedKeys, keys, values);
    return contiguous;
  });
}

/** Keys and values of every head out of one latent vector for each token. */
function latentAttention(pass: Pass, x: Tensor, weights: Latent, shape: LatentAttention): Tensor {
  const { graph, tokens } = pass;
  const { plainHeadDim, rotatedHeadDim, valueHeadDim, kvRank } = shape;
  const heads = weights.up.columns / (plainHeadDim + valueHeadDim);
  const query = latentQuery(pass, x, weights.query);
  const compressed = project(pass, x, weights.down);
  const latentPart = { ...alias(graph, compressed), elements: times(tokens, kvRank) };
  const rotatedPart = { ...alias(graph, compressed), elements: times(tokens, rotatedHeadDim) };
  const latent = llamaNorm(pass, latentPart, weights.norm);
  drop(graph, latentPart);
  const rotate = (elements: Count, from: Tensor) => {
    const wide = cast(graph, { ...from, elements }, SINGLE);
    const turned = mapped(graph, wide);
    drop(graph, wide);
    const narrow = cast(graph, turned, from.itemBytes);
    drop(graph, turned);
    return narrow;
  };
  const turnedQuery = rotate(times(tokens, heads * rotatedHeadDim), query);
  const turnedKey = rotate(times(tokens, rotatedHeadDim), rotatedPart);
  drop(graph, rotatedPart);
  const [cachedLatent, cachedKey] = cached(pass, latent, turnedKey);
  const joined = copied(graph, query, times(tokens, heads * (plainHeadDim + rotatedHeadDim)));
  const expanded = project(pass, cachedLatent, weights.up);
  const keys = copied(graph, expanded, times(tokens, heads * (plainHeadDim + rotatedHeadDim)));
  const values = { ...alias(graph, expanded), elements: times(tokens, heads * valueHeadDim) };
  const outputs = times(tokens, heads * valueHeadDim);
  const attended = kernel(pass, { query: joined, key: keys, value: values, heads, kvHeads: heads, outputs });
  const contiguous = copied(graph, attended);
  drop(graph, attended, joined, keys, values, expanded, cachedLatent, cachedKey);
  const output = project(pass, contiguous, weights.output);
  drop(graph, contiguous, query, turnedQuery, compressed);
  return output;
}

function latentQuery(pass: Pass, x: Tensor, query: Latent["query"]): Tensor {
  const { graph } = pass;
  if (!("down" in query)) return project(pass, x, query.up);
  const low = project(pass, x, query.down);
  const normed = llamaNorm(pass, low, query.norm);
  drop(graph, low);
  const result = project(pass, normed, query.up);
  drop(graph, normed);
  return result;
}
