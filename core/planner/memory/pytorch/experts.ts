/**
 * A mixture of experts as transformers 5 computes it with `grouped_mm`: tokens are sorted by expert, every expert's share
 * goes through one grouped product, and the results are put back in order. All of it is as long as tokens × experts per
 * token, whichever experts are chosen.
 */
import { TidelineError } from "../../../errors.ts";
import type { Experts } from "../../models/architecture.ts";
import type { Parameter, Tensor } from "./autograd.ts";
import { columnsOf, times } from "./count.ts";
import { gatedMlp } from "./mlp.ts";
import {
  activation,
  add,
  alias,
  cast,
  copied,
  drop,
  linear,
  mapped,
  mappedKeepingResult,
  multiply,
  multiplyRows,
  SINGLE,
} from "./operators.ts";
import type { Pass } from "./pass.ts";
import { project } from "./projection.ts";
import type { FeedForwardWeights, LayerWeights } from "./weights.ts";

type ExpertsWeights = Extract<FeedForwardWeights, { kind: "experts" }>;

/** Bytes of an index. */
const INDEX = 8;

export function mixtureOfExperts(pass: Pass, x: Tensor, { feedForward: weights, layer }: LayerWeights): Tensor {
  const { feedForward: shape } = layer;
  if (weights.kind !== "experts" || shape.kind !== "experts") {
    throw new TidelineError({ code: "internal", message: "a mixture of experts without experts" });
  }
  const { graph } = pass;
  const routed = route(pass, x, weights, shape);
  const mixed = mix(pass, x, routed, weights, shape);
  drop(graph, ...routed);
  const { shared, sharedGate } = weights;
  if (shared === undefined) return mixed;
  let always = graph.tape.because("MLP", () => gatedMlp(pass, x, shared));
  if (sharedGate !== undefined) {
    const gate = project(pass, x, sharedGate);
    const scaled = multiplyRows(graph, always, gate);
    drop(graph, gate, always);
    always = scaled;
  }
  const result = add(graph, mixed, always);
  drop(graph, mixed, always);
  return result;
}

/** Which experts work on each token, and how much each counts. */
function route(pass: Pass, x: Tensor, { router }: ExpertsWeights, shape: Experts): readonly [Tensor, Tensor] {
  const { graph } = pass;
  const pairs = times(pass.tokens, shape.active);
  const input = shape.routerInFloat32 ? cast(graph, x, SINGLE) : alias(graph, x);
  const logits = project(pass, input, router);
  const wide = cast(graph, logits, SINGLE);
  const probabilities = mappedKeepingResult(graph, wide);
  drop(graph, wide, logits, input);
  const chosen = graph.tensor(pairs, INDEX);
  const saved = graph.save(chosen);
  const best = graph.record(graph.tensor(pairs, SINGLE), [probabilities], saved, () => [
    { block: graph.tape.allocate(times(probabilities.elements, SINGLE)), view: false },
  ]);
  drop(graph, probabilities);
  const shares = copied(graph, best, pairs, shape.routerInFloat32 ? SINGLE : x.itemBytes);
  drop(graph, best);
  return [shares, chosen];
}

/** What the chosen experts make of every token, added up. */
function mix(pass: Pass, x: Tensor, [shares]: readonly Tensor[], weights: ExpertsWeights, shape: Experts): Tensor {
  const { graph, tokens } = pass;
  const width = columnsOf(x.elements, tokens);
  const pairs = times(tokens, shape.active);
  const inner = weights.down.elements.each / shape.experts / width;
  /** One product for each expert over its share of the pairs, and what no expert computed set to zero: a second copy. */
  const product = (input: Tensor, weight: Parameter, columns: number) => {
    const raw = linear(graph, input, weight, times(pairs, columns));
    const blanked = mapped(graph, raw);
    drop(graph, raw);
    return blanked;
  };
  const order = [graph.tensor(pairs, INDEX), graph.tensor(pairs, INDEX)];
  const gathered = copied(graph, x, times(pairs, width));
  const raised = product(gathered, weights.gateUp, 2 * inner);
  const gate = { ...alias(graph, raised), elements: times(pairs, inner) };
  const up = { ...alias(graph, raised), elements: times(pairs, inner) };
  const activated = activation(graph, gate);
  const fed = multiply(graph, activated, up);
  drop(graph, activated, gate, up, raised);
  const lowered = product(fed, weights.down, width);
  drop(graph, fed, gathered);
  const weighted = shares === undefined ? alias(graph, lowered) : multiplyRows(graph, lowered, shares);
  drop(graph, lowered);
  const restored = mapped(graph, weighted);
  drop(graph, weighted);
  const summed = copied(graph, restored, x.elements);
  drop(graph, restored, ...order);
  return summed;
}
