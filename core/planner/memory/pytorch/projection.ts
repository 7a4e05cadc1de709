/** A linear layer as a model has it: stored as it is, in fewer bits under autocast, dequantised, with its adapter. */
import type { Parameter, Tensor } from "./autograd.ts";
import { times } from "./count.ts";
import { add, cast, drop, HALF, linear, mapped, SINGLE, widened } from "./operators.ts";
import type { Pass } from "./pass.ts";
import type { Linear } from "./weights.ts";

export function project(pass: Pass, x: Tensor, layer: Linear): Tensor {
  const base = pass.autocast ? autocastLinear(pass, x, layer) : storedLinear(pass, x, layer);
  const { adapter } = layer;
  return adapter === undefined
    ? base
    : pass.graph.tape.because("LoRA activations", () => adapted(pass, x, base, adapter, layer.columns));
}

function storedLinear(pass: Pass, x: Tensor, layer: Linear): Tensor {
  const { graph } = pass;
  const { weight, columns, bias } = layer;
  const multiply = () => linear(graph, x, weight, times(pass.tokens, columns), bias);
  if (!layer.quantised) return multiply();
  // Kernels that read few bits directly need none of this; the general way writes the weight out first.
  const wide = graph.tape.allocate(times(weight.elements, HALF), "dequantised weights");
  const result = multiply();
  graph.tape.release(wide);
  return result;
}

/** `torch.autocast`: bias, weight and input are cast, those of weights once in a pass, those of inputs every time. */
function autocastLinear(pass: Pass, x: Tensor, { weight, columns, bias }: Linear): Tensor {
  const { graph } = pass;
  const inBits = (parameter: Parameter) =>
    parameter.itemBytes === HALF ? parameter : pass.copyOf(parameter, () => widened(graph, parameter, HALF));
  const narrowBias = bias === undefined ? undefined : inBits(bias);
  const narrowWeight = inBits(weight);
  const narrow = cast(graph, x, HALF);
  const result = linear(graph, narrow, narrowWeight, times(pass.tokens, columns), narrowBias);
  drop(graph, narrow);
  return result;
}

/** peft's LoRA layer: the detour is computed in float32, added, and brought back. */
function adapted(
  { graph, tokens }: Pass,
  x: Tensor,
  base: Tensor,
  { down, up, rank }: { readonly down: Parameter; readonly up: Parameter; readonly rank: number },
  columns: number,
): Tensor {
  const wide = cast(graph, x, SINGLE);
  const low = linear(graph, wide, down, times(tokens, rank));
  drop(graph, wide);
  const high = linear(graph, low, up, times(tokens, columns));
  drop(graph, low);
  const scaled = mapped(graph, high);
  drop(graph, high);
  const sum = add(graph, base, scaled);
  drop(graph, scaled, base);
  const result = cast(graph, sum, base.itemBytes);
  drop(graph, sum);
  return result;
}
