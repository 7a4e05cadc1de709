/** Operators that are one kernel each and reuse memory (Liger): read beside ops/rms_norm.py, swiglu.py and rope.py. */
import type { Graph, Parameter, Tensor } from "./autograd.ts";
import { MULTIPROCESSORS, rowsOf, times } from "./count.ts";
import { alias, drop, passOn, SINGLE } from "./operators.ts";

/** An operator of one fused kernel that writes its result over its input and its gradient over the result's. */
export function inPlace(graph: Graph, x: Tensor, kept: readonly Tensor[]): Tensor {
  const saved = graph.save(...kept);
  return graph.record(alias(graph, x), [x], saved, (gradient) => [passOn(graph, gradient)]);
}

/** `silu(gate) * up` as one kernel: keeps both inputs, and writes their gradients over them. */
export function fusedGate(graph: Graph, gate: Tensor, up: Tensor): Tensor {
  const saved = graph.save(gate, up);
  const result = graph.tensor(gate.elements, gate.itemBytes);
  return graph.record(result, [gate, up], saved, () =>
    saved.map((block) => ({ block: graph.tape.retain(block), view: false })),
  );
}

/**
 * A normalisation as one kernel: keeps its input and a number for each row. The gradient of the input is written over that
 * of the result; that of the weight is summed up once for each multiprocessor.
 */
export function fusedNorm(graph: Graph, x: Tensor, weight: Parameter): Tensor {
  const rows = rowsOf(x.elements, weight.elements);
  const result = graph.tensor(x.elements, x.itemBytes);
  const roots = graph.tensor(rows, SINGLE);
  const saved = graph.save(x, roots);
  drop(graph, roots);
  return graph.record(result, [x, weight], saved, (gradient) => {
    const partial = graph.tape.allocate(times(MULTIPROCESSORS, weight.elements.each * SINGLE), "reduction workspace");
    const sum = weight.trained ? { block: graph.tape.allocate(weight.bytes, "gradients"), view: false } : undefined;
    graph.tape.release(partial);
    return [passOn(graph, gradient), sum];
  });
}
